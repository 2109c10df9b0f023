// The sheet: strokes by pen, finger, mouse or keys, or a picture to look at.

const STEP = 0.04; // of the sheet, for an arrow key; with Shift a quarter of it

class Pad {
  /** changed: called with strokes after every change; isInk: whether one can draw at all. */
  constructor(canvas, isInk, thickness, changed) {
    Object.assign(this, {canvas, isInk, thickness, changed, strokes: [], cursor: null, isDown: false, picture: null});
    canvas.classList.toggle("still", !isInk);
    if (isInk) this.listen();
    new ResizeObserver(() => this.fit()).observe(canvas);
  }

  fit() {
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(this.canvas.clientWidth * ratio);
    this.canvas.height = Math.round(this.canvas.clientHeight * ratio);
    this.draw();
  }

  listen() {
    const place = (event) => {
      const box = this.canvas.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      this.canvas.focus({preventScroll: true, focusVisible: false});
      this.canvas.setPointerCapture(event.pointerId);
      this.pointer = event.pointerId;
      this.cursor = null;
      this.begin(place(event));
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (event.pointerId !== this.pointer) return;
      const all = event.getCoalescedEvents?.() ?? [];
      for (const part of all.length ? all : [event]) this.extend(place(part));
    });
    const end = (event) => { if (event.pointerId === this.pointer) this.pointer = null; };
    this.canvas.addEventListener("pointerup", end);
    this.canvas.addEventListener("pointercancel", end);
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("blur", () => { this.cursor = null; this.isDown = false; this.draw(); });
  }

  key(event) {
    const step = event.shiftKey ? STEP / 4 : STEP;
    const move = {ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step]}[event.key];
    if (move) {
      const [x, y] = this.cursor ?? [0.5, 0.5];
      this.cursor = [Math.max(0.02, Math.min(0.98, x + move[0])), Math.max(0.02, Math.min(0.98, y + move[1]))];
      if (this.isDown) this.extend(this.cursor); else this.draw();
    } else if (event.key === " ") {
      this.isDown = !this.isDown;
      this.cursor ??= [0.5, 0.5];
      if (this.isDown) this.begin(this.cursor); else this.draw();
    } else if (event.key === "Delete" || event.key === "Backspace" || event.key === "Escape") this.clear();
    else if (event.key === "z" && (event.ctrlKey || event.metaKey)) this.undo();
    else return;
    event.preventDefault();
  }

  begin(point) {
    this.picture = null;
    this.strokes.push([point]);
    this.tell();
  }

  extend(point) {
    this.strokes.at(-1).push(point);
    this.tell();
  }

  undo() {
    this.strokes.pop();
    this.isDown = false;
    this.tell();
  }

  clear() {
    this.strokes = [];
    this.picture = null;
    this.isDown = false;
    this.tell();
  }

  tell() {
    this.draw();
    this.changed(this.strokes);
  }

  /** A canvas, bitmap or frame to look at, its middle cut out. */
  look(source, width, height, isSmooth = true) {
    this.strokes = [];
    this.picture = {source, width, height, isSmooth};
    this.draw();
  }

  draw() {
    const context = this.canvas.getContext("2d"), {width, height} = this.canvas;
    context.clearRect(0, 0, width, height);
    if (this.picture) {
      const {source, width: w, height: h, isSmooth} = this.picture, scale = Math.max(width / w, height / h);
      context.imageSmoothingEnabled = isSmooth;
      context.drawImage(source, (width - w * scale) / 2, (height - h * scale) / 2, w * scale, h * scale);
    }
    context.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--ink");
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = this.thickness * width;
    for (const stroke of this.strokes) {
      context.beginPath();
      stroke.forEach(([x, y]) => context.lineTo(x * width, y * height));
      if (stroke.length === 1) context.lineTo(stroke[0][0] * width + 0.1, stroke[0][1] * height);
      context.stroke();
    }
    if (this.cursor) this.cross(context, width, height);
  }

  cross(context, width, height) {
    const [x, y] = [this.cursor[0] * width, this.cursor[1] * height], r = this.isDown ? 4 : 10;
    context.lineWidth = 2 * (window.devicePixelRatio || 1);
    context.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--accent");
    context.beginPath();
    context.arc(x, y, r * (window.devicePixelRatio || 1), 0, 7);
    context.stroke();
  }
}
