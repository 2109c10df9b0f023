// A packed program ready to run: value 0 in, every value out.

const STEPS = {
  conv: (step, program, tensors) => {
    const source = program.values[step.input], channels = resultOf(step, program).channels;
    const make = source.type === "bits" ? bitProduct : numberProduct;
    const product = make(step, source, channels, tensors);
    const run = resultsOf(step, program, tensors, product.walk.classes, (values) => product.run(values[step.input]));
    return Object.assign(run, {product});
  },
  map: (step, program, tensors) => resultsOf(step, program, tensors, null, (values) => values[step.input]),
  pool: (step, program, tensors) => single(step, poolOf(step, program.values[step.input], tensors)),
  input_scale: (step, program) => single(step, inputScaleOf(step, program.values[step.input])),
  subsample: (step, {values}) => single(step, subsampleOf(step, values[step.input], values[step.output])),
  mean: (step, program) => single(step, meanOf(program.values[step.input])),
  channels: (step, {values}) => single(step, joinOf([values[step.input]], step.start, values[step.output])),
  concat: (step, {values}) => {
    const join = joinOf([values[step.input], values[step.second]], 0, values[step.output]);
    return (found) => { found[step.output] = join(found[step.input], found[step.second]); };
  },
};

const resultOf = (step, program) => program.values[step.output ?? step.bits];

/** A step with one input and one output. */
function single(step, run) {
  return (found) => { found[step.output] = run(found[step.input]); };
}

/** The numbers of a step through its epilogue, and on as reals, bits or both. Whole thresholds see the product. */
function resultsOf(step, program, tensors, border, numbers) {
  const channels = resultOf(step, program).channels;
  const isExact = step.thresholds && tensors[step.thresholds.tensor].data instanceof Int32Array;
  const epilogue = epilogueOf(step.epilogue, channels, border, tensors);
  const toBits = step.thresholds ? thresholdsOf(step.thresholds, program.values[step.bits].code, channels, tensors) : null;
  return (found) => {
    const y = numbers(found);
    const real = step.output === null && isExact ? null : epilogue(y, found);
    if (step.output !== null) found[step.output] = real;
    if (toBits !== null) found[step.bits] = toBits(isExact ? y : real);
  };
}

class Network {
  constructor(bytes) {
    const {header, tensors} = readPacked(bytes);
    this.bytes = bytes;
    this.header = header;
    this.tensors = tensors;
    this.program = header.program;
    this.steps = this.program.steps.map((step) => STEPS[step.op](step, this.program, tensors));
    this.prepare = preprocessOf(header.images, tensors);
  }

  /** Every value of the program, from the pixels of one image (uint8 H×W×C). */
  values(pixels) {
    return this.run(this.prepare(pixels));
  }

  /** Every value, from value 0. */
  run(input) {
    const found = [input];
    for (const step of this.steps) step(found);
    return found;
  }

  /** One number for each class. */
  logits(pixels) {
    return this.values(pixels)[this.program.output];
  }
}

/** Logits of `count` images in base64 (uint8 N×H×W×C) as float32 in base64: the door for a test without hands. */
function logitsOf(network, base64) {
  const {height, width, channels} = network.header.images, size = height * width * channels;
  const pixels = bytesOf(base64), count = pixels.length / size, classes = network.header.classes.length;
  const found = new Float32Array(count * classes);
  for (let i = 0; i < count; i++) found.set(network.logits(pixels.subarray(i * size, (i + 1) * size)), i * classes);
  return base64Of(new Uint8Array(found.buffer));
}
