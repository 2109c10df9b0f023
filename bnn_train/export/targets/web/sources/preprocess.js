// Real-valued steps between pixels and value 0, in float32 (FORMAT.md §7). Most networks have none: their first layer
// reads the pixels.

const PREPROCESS = {
  scale01: () => (x) => mapped(x, (v) => v / 255),
  signed: () => {
    const unit = Math.fround(2 / 255);
    return (x) => mapped(x, (v) => Math.fround(v * unit) - 1);
  },
  mean_std: (options, {mean, std}, {channels}) => (x) =>
    mapped(x, (v, i) => Math.fround(Math.fround(v / 255) - mean[i % channels]) / std[i % channels]),
  pixel_mean: (options, {mean}, images) => (x) => mapped(x, (v, i) => Math.fround(v / 255) - mean[planar(i, images)]),
  gcn: ({scale, norm, bias}) => (x) => {
    const mean = Math.fround(x.reduce((sum, v) => sum + v, 0) / x.length);
    const centred = mapped(x, (v) => v - mean);
    const power = centred.reduce((sum, v) => sum + v * v, 0);
    const divisor = Math.fround(Math.sqrt((norm === "std" ? power / x.length : power) + bias) / scale);
    return mapped(centred, (v) => v / (divisor < Math.fround(1e-8) ? 1 : divisor));
  },
  zca: (options, {mean, matrix}, images) => (x) => {
    const count = x.length, flat = new Float32Array(count), sums = new Float64Array(count);
    for (let i = 0; i < count; i++) flat[planar(i, images)] = x[i] - mean[planar(i, images)];
    for (let i = 0; i < count; i++) for (let j = 0; j < count; j++) sums[j] += flat[i] * matrix[i * count + j];
    return mapped(x, (v, i) => sums[planar(i, images)]);
  },
  lcn: ({kernel, threshold}, own, {height, width, channels}) => {
    const window = gaussian(kernel), least = Math.fround(threshold);
    return (x) => {
      const smooth = filtered(x, window, kernel, height, width, channels);
      const centred = mapped(x, (v, i) => v - smooth[i]);
      const norm = mapped(filtered(mapped(x, (v) => v * v), window, kernel, height, width, channels), Math.sqrt);
      const floor = new Float32Array(channels);
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let i = c; i < norm.length; i += channels) sum += norm[i];
        floor[c] = sum / (height * width);
      }
      return mapped(centred, (v, i) => v / Math.max(norm[i], floor[i % channels], least));
    };
  },
};

/** A function from uint8 H×W×C to value 0. */
function preprocessOf(images, tensors) {
  if (!images.preprocess.length) return (pixels) => pixels;
  const steps = images.preprocess.map(({kind, options, tensors: names}) => {
    const own = Object.fromEntries(Object.entries(names).map(([key, name]) => [key, tensors[name].data]));
    return PREPROCESS[kind](options, own, images);
  });
  return (pixels) => steps.reduce((x, step) => step(x), Float32Array.from(pixels));
}

const mapped = (x, f) => Float32Array.from(x, f);

/** The place in C×H×W of element i of H×W×C. */
const planar = (i, {height, width, channels}) => (i % channels) * height * width + Math.floor(i / channels);

/** A size×size window of σ = 2 that sums to 1. */
function gaussian(size) {
  const line = Array.from({length: size}, (_, i) => Math.exp(-((i - (size >> 1)) ** 2) / 8));
  const plane = line.flatMap((a) => line.map((b) => a * b)), sum = plane.reduce((s, v) => s + v, 0);
  return Float32Array.from(plane, (v) => v / sum);
}

/** Every channel through the window, zeros around the image; added in float32 in the window's order. */
function filtered(x, window, size, height, width, channels) {
  const y = new Float32Array(x.length), half = size >> 1;
  window.forEach((weight, k) => {
    const down = Math.floor(k / size) - half, right = (k % size) - half;
    for (let r = Math.max(0, -down); r < Math.min(height, height - down); r++) {
      for (let c = Math.max(0, -right); c < Math.min(width, width - right); c++) {
        const to = (r * width + c) * channels, from = ((r + down) * width + c + right) * channels;
        for (let i = 0; i < channels; i++) y[to + i] += Math.fround(weight * x[from + i]);
      }
    }
  });
  return y;
}
