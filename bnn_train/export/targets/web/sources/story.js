// What a step is and why a bit is lit, in words.

const number = (n) => n.toLocaleString("en", {maximumFractionDigits: 3}).replace("-", "−");
const plural = (n, word) => `${number(n)} ${word}${n === 1 ? "" : "s"}`;
const sizeOf = ({height, width, channels}) =>
  height * width === 1 ? plural(channels, "bit") : `${channels} maps of ${height}×${width} bits`;

/** The kind of a step in a word or two. */
function kindOf(step, program) {
  if (step.op === "pool") return `${step.kind === "max" ? "max" : "average"} pool`;
  if (step.op !== "conv") return {map: "threshold", mean: "mean", subsample: "subsample"}[step.op] ?? step.op;
  const {height, width} = program.values[step.input], [h, w] = step.geometry.kernel;
  return h === height && w === width ? "dense" : `convolution ${h}×${w}`;
}

/** The values worth a picture, with the step that writes each: bits, or the reals of a network that has none. */
function pictured(program) {
  const found = [];
  program.steps.forEach((step, index) => {
    if (step.bits !== null && step.bits !== undefined) found.push({step, index, value: step.bits});
    else if (step.op === "pool" && program.values[step.output].type === "bits") found.push({step, index, value: step.output});
  });
  if (found.length) return found;
  return program.steps.flatMap((step, index) =>
    step.op === "conv" && step.output !== program.output ? [{step, index, value: step.output}] : []);
}

/** Why a number of a layer is as it is: a sentence, and the ±1 weights of its filter as a picture, or null. */
function explained(network, {step, index, value}, i, values, levels) {
  const {program, tensors} = network, {channels, height, width} = program.values[value];
  const c = i % channels, p = Math.floor(i / channels);
  const place = height * width === 1 ? `Bit ${c + 1}` : `Map ${c + 1}, row ${Math.floor(p / width) + 1}, column ${(p % width) + 1}`;
  const state = program.values[value].type !== "bits" ? "" : levels[i] === 1 ? " is +1" : levels[i] === 0 ? " is −1" : ` is at ${Math.round(levels[i] * 100)} %`;
  if (step.op === "pool") return {text: `${place}${state}: the largest of the bits under its window.`, filter: null};
  if (step.op !== "conv") return {text: `${place}${state}: a number of the layer before against its threshold.`, filter: null};
  const {product} = network.steps[index], sum = product.run(values[step.input])[i];
  const filter = filterPicture(network, step, c, program.values[value].channels);
  return {text: `${place}${state}: ${reason(step, program.values[step.input], tensors, c, channels, sum, product.walk.classes[p])}`, filter};
}

function reason(step, source, tensors, c, channels, sum, border) {
  const n = (step.geometry.kernel[0] * step.geometry.kernel[1] * source.channels) / step.geometry.groups;
  const rule = step.thresholds, limits = rule ? tensors[rule.tensor] : null;
  if (limits === null || limits.shape[0] > 1) return `the sum of its window is ${number(sum)}.`;
  const flips = rule?.flip && tensors[rule.flip].data[c];
  const isSigns = source.type === "bits" && isSign(source.code) && step.weight.kind === "bits" && isSign(step.weight.code);
  const limit = limits.data[c];
  if (!(limits.data instanceof Int32Array)) return linear(step.epilogue, tensors, c, channels, sum, limit, flips, border);
  if (!isSigns || step.pad === 0 && (step.geometry.padding[0] || step.geometry.padding[1])) {
    return `its sum is ${number(sum)}; it lights ${flips ? "up to" : "from"} ${number(limit)}${flips ? "" : " on"}.`;
  }
  const agree = (n + sum) / 2, wanted = flips ? Math.floor((n + limit) / 2) : Math.ceil((n + limit) / 2);
  return `${number(agree)} of ${number(n)} inputs agree with its weights; it lights ${flips ? `up to ${number(wanted)}` : `from ${number(wanted)} on`}.`;
}

/** A threshold behind a factor and a summand, told as one of the sum itself. */
function linear(e, tensors, c, channels, sum, limit, flips, border) {
  const isLine = e.input_scale === null && !e.gate && e.norm === null && e.residual === null && e.activation === "none" && e.stream === "none";
  const scale = e.scale ? tensors[e.scale].data[c] : 1, bias = e.bias ? tensors[e.bias] : null;
  if (!isLine || scale === 0) return `the sum of its window is ${number(sum)}.`;
  const own = (limit - (bias ? bias.data[bias.shape[0] > 1 ? border * channels + c : c] : 0)) / scale, falls = Boolean(flips) !== scale < 0;
  return `its sum is ${number(sum)}; it lights ${falls ? "up to" : "from"} about ${number(Math.round(own))}${falls ? "" : " on"}.`;
}

const isSign = (code) => !isPlanes(code) && code.values.length === 1 && code.offset === 0;

/** The signs of one filter over its window, H×W of its first channel; null where it is too small to look at. */
function filterPicture({program, tensors}, step, c, outputs) {
  const [height, width] = step.geometry.kernel, inner = program.values[step.input].channels / step.geometry.groups;
  if (step.weight.kind !== "bits" || height * width < 9 || inner > 3) return null;
  const n = height * width * inner, bits = filterBits(tensors[step.weight.tensor], n);
  return {height, width, signs: Array.from({length: height * width}, (_, k) => 1 - 2 * bits[c * n + k * inner])};
}

/** What the lights mean, a paragraph each. */
function meaning(network, facts) {
  const {program} = network, bits = program.values.some(({type}) => type === "bits");
  const convolutional = program.steps.some((step) => step.op === "conv" && step.geometry.kernel[0] < program.values[step.input].height);
  if (!bits) {
    return ["The weights of this network are single bits, +1 or −1; between its layers it passes real numbers, shown here from dark (negative) to bright (positive)."];
  }
  return [
    "Most networks pass real numbers from layer to layer. This one passes single bits: +1 (lit) or −1 (dark), and nothing between.",
    `Its weights are bits, too. A light compares its inputs with its weights, bit by bit (XNOR), counts how many agree (popcount), and lights up where the count reaches its threshold. There is no multiplication.${convolutional ? " In a convolution the same weights look at every place of the map." : ""}`,
    ...(program.steps.some((step) => step.op === "conv" && step.input === 0 && step.weight.kind === "bits" && program.values[0].type === "u8")
      ? ["The first layer reads pixels: it adds those where its weight is +1 and subtracts the others."] : []),
    "Choose a light, by mouse or with the arrow keys, and the page tells its count.",
    facts.exact
      ? "What you see is the trained network itself: the page carries its packed file and computes, bit for bit, what the packed runtime computes."
      : "What you see is the trained network itself: the page carries its packed file. A few of its sums are of real numbers, whose last digit depends on the order of adding.",
  ];
}
