// The page: what comes in goes through the network, and everything is shown.

const $ = (id) => document.getElementById(id);
const settings = JSON.parse($("settings").textContent);
const network = new Network(bytesOf($("packed").textContent.trim()));
const {images, classes} = network.header;
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

function element(kind, text = "", parent = null) {
  const made = document.createElement(kind);
  made.textContent = text;
  parent?.append(made);
  return made;
}

/** A canvas that shows uint8 H×W×C as it is. */
function paintPixels(canvas, pixels) {
  const {height, width, channels} = images;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d"), image = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = pixels[i * channels + Math.min(c, channels - 1)];
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

// ------------------------------------------------------------------------------------------- layers

const seen = (() => { // the image as the network gets it
  const card = element("div", "", $("layers"));
  card.className = "card layer";
  const head = element("h2", settings.pen ? "What the network sees" : "What the network sees of it", card);
  element("small", `${images.width}×${images.height} pixels${images.channels > 1 ? ", in colour" : ""}`, head);
  const canvas = element("canvas", "", card);
  canvas.style.width = "132px";
  canvas.style.cursor = "default";
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "The image as the network gets it");
  return canvas;
})();

const layers = pictured(network.program).map((place, number) => {
  const {step, value} = place, record = network.program.values[value];
  const card = element("div", "", $("layers"));
  card.className = "card layer";
  const head = element("h2", `Layer ${number + 1}: ${kindOf(step, network.program)}`, card);
  const told = element("small", "", head), canvas = element("canvas", "", card);
  const line = element("p", "", card);
  line.className = "told";
  line.setAttribute("role", "status");
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  const lights = new Lights(canvas, record, record.type === "bits" ? levelsOfBits(record) : levelsOfReals(record));
  const layer = {...place, record, lights, told, line, canvas};
  lights.changed = () => describe(layer);
  canvas.addEventListener("click", (event) => select(layer, lights.at(event.offsetX, event.offsetY)));
  canvas.addEventListener("keydown", (event) => {
    const move = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
    if (event.key === "Escape") select(layer, -1);
    else if (move) select(layer, lights.selected < 0 ? 0 : lights.neighbour(...move));
    else return;
    event.preventDefault();
  });
  return layer;
});

/** A layer's count, its name for screen readers, and the selected light. */
function describe({record, lights, told, canvas, step}) {
  const lit = lights.now.reduce((sum, v) => sum + (v === 1), 0);
  const hidden = lights.grid && lights.grid.shown < record.channels ? `; the first ${lights.grid.shown} maps` : "";
  told.textContent = record.type === "bits" ? `${sizeOf(record)}, ${number(lit)} lit${hidden}` : `${record.channels} maps${hidden}`;
  canvas.setAttribute("aria-label", `Layer ${step.layer}: ${told.textContent}. Arrow keys choose a light.`);
  const layer = layers.find((other) => other.lights === lights);
  if (layer && lights.selected >= 0) tell(layer);
}

function select(layer, i) {
  for (const other of layers) {
    if (other === layer || other.lights.selected < 0) continue;
    other.lights.selected = -1;
    other.line.replaceChildren();
    other.lights.draw();
  }
  layer.lights.selected = i;
  layer.lights.draw();
  if (i < 0 || !current) layer.line.replaceChildren();
  else tell(layer);
}

/** Why the selected light of a layer is on. */
function tell(layer) {
  const {text, filter} = explained(network, layer, layer.lights.selected, current.values, layer.lights.now);
  layer.line.replaceChildren();
  if (filter) {
    const canvas = element("canvas", "", layer.line), context = canvas.getContext("2d");
    canvas.width = filter.width;
    canvas.height = filter.height;
    canvas.style.width = "56px";
    const [on, off] = ["--on", "--off"].map((name) => getComputedStyle(document.documentElement).getPropertyValue(name));
    filter.signs.forEach((sign, k) => {
      context.fillStyle = sign > 0 ? on : off;
      context.fillRect(k % filter.width, Math.floor(k / filter.width), 1, 1);
    });
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", "Its weights");
  }
  element("span", text, layer.line);
}

function fitLayers() {
  const room = $("layers").clientWidth - 34;
  for (const {lights} of layers) lights.fit(room);
  for (const layer of layers) describe(layer);
}

// ------------------------------------------------------------------------------------------ running

let current = null;
const times = [];
const answer = new Answer($("answer"), $("bars"), classes);

/** One image through the network, and on to the lights. */
function recognise(pixels) {
  const begin = performance.now(), values = network.values(pixels);
  times.push(performance.now() - begin);
  if (times.length > 15) times.shift();
  const taken = [...times].sort((a, b) => a - b)[times.length >> 1];
  current = {pixels, values};
  paintPixels(seen, pixels);
  layers.forEach(({lights, value}, i) => lights.show(values[value], calm.matches ? 0 : i * 60));
  answer.tell(values[network.program.output]);
  $("short").textContent = answer.best;
  $("timing").textContent = taken < 0.1 ? "less than 0.1 ms an image" : `${taken.toFixed(1)} ms an image`;
}

function forget() {
  current = null;
  paintPixels(seen, new Uint8Array(images.width * images.height * images.channels));
  $("short").textContent = "";
  answer.clear(settings.pen ? "Nothing drawn yet." : "No picture yet.");
}

let pending = null;

/** Ink is looked at once a frame, however fast the pen. */
function drawn(strokes) {
  stopCamera();
  $("hint").hidden = strokes.length > 0 || pad.picture !== null;
  $("note").textContent = "";
  const isFirst = pending === null;
  pending = strokes;
  if (isFirst) requestAnimationFrame(() => {
    const pixels = pending.length ? pixelsOfInk(inkOfStrokes(pending, settings.pen), settings.pen, images) : null;
    pending = null;
    if (pixels) recognise(pixels); else forget();
  });
}

const pad = new Pad($("pad"), settings.pen !== null, 0.07, drawn);

/** A picture: looked at as it is where it has the network's size, as handwriting, or cut to size. */
function looked(source, width, height) {
  const image = imageDataOf(source, width, height);
  const isReady = width === images.width && height === images.height;
  const pixels = settings.pen && !isReady
    ? pixelsOfInk(inkOfPicture(image), settings.pen, images)
    : pixelsOfPicture(image, images);
  pad.look(source, width, height, Math.min(width, height) > 64);
  $("hint").hidden = true;
  if (pixels) recognise(pixels); else forget();
}

async function take(file) {
  stopCamera();
  try {
    const bitmap = await createImageBitmap(file);
    looked(bitmap, bitmap.width, bitmap.height);
    $("note").textContent = "";
  } catch {
    $("note").textContent = "This is no picture that the browser can read.";
  }
}

// --------------------------------------------------------------------------------------------- page

function paintTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  $("theme").textContent = dark ? "☀" : "☾";
  pad.draw();
  for (const {lights} of layers) if (lights.grid) { lights.palette = paletteOf(); lights.draw(); }
  const chosen = layers.find(({lights}) => lights.selected >= 0);
  if (chosen && current) tell(chosen);
}

function fill() {
  const {facts, title, ask} = settings;
  document.title = $("title").textContent = title;
  $("facts").textContent = facts.line;
  $("ask").textContent = ask;
  $("pad").style.aspectRatio = `${images.width} / ${images.height}`;
  $("pad").setAttribute("role", settings.pen ? "application" : "img");
  $("pad").setAttribute("aria-label", settings.pen
    ? "Sheet. Arrow keys move the pen, the space bar sets it down or lifts it, Delete clears." : "The picture");
  $("hint").textContent = settings.hint;
  $("credit").textContent = settings.credit;
  for (const [name, text] of Object.entries(facts.rows)) {
    element("dt", name, $("about"));
    element("dd", text, $("about"));
  }
  for (const text of meaning(network, facts)) element("p", text, $("meaning"));
  $("download").download = settings.name;
  $("download").href = "#";
  $("download").addEventListener("click", () => {
    $("download").href = URL.createObjectURL(new Blob([network.bytes], {type: "application/octet-stream"}));
  });
  $("undo").hidden = !settings.pen;
}

function fillExamples() {
  const size = images.height * images.width * images.channels, pixels = bytesOf(settings.examples.pixels);
  $("examples").style.setProperty("--count", Math.max(5, settings.examples.labels.length));
  settings.examples.labels.forEach((label, i) => {
    const own = pixels.subarray(i * size, (i + 1) * size), button = element("button", "", $("examples"));
    button.type = "button";
    button.title = `Example: ${classes[label]}`;
    button.setAttribute("aria-label", `Example, labelled ${classes[label]}`);
    button.append(paintPixels(document.createElement("canvas"), own));
    button.addEventListener("click", () => {
      stopCamera();
      pad.look(button.firstChild, images.width, images.height, false);
      $("hint").hidden = true;
      $("note").textContent = `An image that the network was not trained on; its label is ${classes[label]}.`;
      recognise(own);
    });
  });
}

function connect() {
  $("clear").addEventListener("click", () => pad.clear());
  $("undo").addEventListener("click", () => pad.undo());
  $("open").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => { if ($("file").files[0]) take($("file").files[0]); $("file").value = ""; });
  $("camera").addEventListener("click", () => (stream ? (stopCamera(), pad.clear()) : startCamera()));
  $("camera").disabled = !navigator.mediaDevices?.getUserMedia;
  if ($("camera").disabled) $("camera").title = "This browser gives no camera to a page opened from a file";
  document.addEventListener("dragover", (event) => { event.preventDefault(); $("sheet").classList.add("over"); });
  document.addEventListener("dragleave", () => $("sheet").classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    $("sheet").classList.remove("over");
    const file = event.dataTransfer.files[0];
    if (file) take(file);
  });
  document.addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find(({type}) => type.startsWith("image/"));
    if (file) take(file);
  });
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", () => paintTheme(dark.matches));
  $("theme").addEventListener("click", () => paintTheme(document.documentElement.dataset.theme !== "dark"));
  paintTheme(dark.matches);
  let room = 0;
  new ResizeObserver(() => {
    if ($("layers").clientWidth !== room) requestAnimationFrame(fitLayers);
    room = $("layers").clientWidth;
  }).observe($("layers"));
}

fill();
fillExamples();
connect();
fitLayers();
forget();
