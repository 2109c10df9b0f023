// From a product to real values and bits (FORMAT.md §5.2). A number that goes into a Float32Array is rounded once.

/** The nearest whole number, ties to even; |x| below 2⁵¹. */
const rint = (x) => x + 6755399441055744 - 6755399441055744;

const PARTS = new Float64Array(1), WORDS = new Uint32Array(PARTS.buffer); // little-endian, as all browsers' machines are

/** float32 a·b + c with one rounding: the sum rounded to odd in float64 (Boldo & Melquiond 2008), then to float32. */
function fma(a, b, c) {
  const product = a * b, total = product + c, back = total - product;
  const error = product - (total - back) + (c - back);
  if (error === 0 || !Number.isFinite(error) || !Number.isFinite(total)) return total;
  PARTS[0] = total;
  if (WORDS[0] & 1) return total;
  if ((error > 0) === (total > 0)) WORDS[0] |= 1; // away from 0: the next, which is odd
  else {
    if (WORDS[0] === 0) WORDS[1] -= 1;
    WORDS[0] -= 1;
  }
  return PARTS[0];
}

const INVERSE_FACTORIALS = [1];
for (let i = 1, f = 1; i < 14; i++) INVERSE_FACTORIALS.push(1 / (f *= i));
const HALVES = [1];
while (HALVES.length < 152) HALVES.push(HALVES[HALVES.length - 1] / 2);
const PER_LN2 = 0x171547652b82fe / 2 ** 52, LN2_HIGH = 0x162e42fee / 2 ** 33, LN2_LOW = 0x1a39ef35793c76 / 2 ** 85;

/** 1/(1 + e^−y), every operation in float64 as FORMAT.md says. */
function sigmoid(y) {
  if (Number.isNaN(y)) return y;
  const t = -Math.min(Math.abs(y), 104), k = rint(t * PER_LN2), r = t - k * LN2_HIGH - k * LN2_LOW;
  let e = INVERSE_FACTORIALS[13];
  for (let i = 12; i >= 0; i--) e = e * r + INVERSE_FACTORIALS[i];
  e *= HALVES[-k];
  return (y < 0 ? e : 1) / (1 + e);
}

const BENDS = {
  none: null,
  relu: (y) => (y < 0 ? 0 : y),
  hardtanh: (y) => (y < -1 ? -1 : y > 1 ? 1 : y),
  sigmoid,
};

/** A function that changes a Float32Array pixels×C in place. */
function bendOf(activation, channels, tensors) {
  if (typeof activation === "string") {
    const f = BENDS[activation];
    return f === null ? null : (y) => { for (let i = 0; i < y.length; i++) y[i] = f(y[i]); };
  }
  const [before, negative, positive, after] = ["before", "negative", "positive", "after"].map((name) =>
    activation[name] ? tensors[activation[name]].data : null);
  return (y) => {
    for (let i = 0; i < y.length; i++) {
      const c = i % channels;
      if (before !== null) y[i] += before[c];
      if (y[i] < 0) y[i] *= negative[c];
      else if (positive !== null) y[i] *= positive[c];
      if (after !== null) y[i] += after[c];
    }
  };
}

/** y ↦ its epilogue, as a new Float32Array. border: the border class of each pixel, or null for one class. */
function epilogueOf(e, channels, border, tensors) {
  const scale = e.scale ? tensors[e.scale].data : null, bias = e.bias ? tensors[e.bias] : null;
  const norm = e.norm ? e.norm.map((name) => tensors[name].data) : null;
  const activation = bendOf(e.activation, channels, tensors), stream = bendOf(e.stream, channels, tensors);
  const rows = bias !== null && bias.shape[0] > 1;
  return (product, values) => {
    const y = new Float32Array(product), pixels = y.length / channels;
    if (scale !== null) for (let i = 0; i < y.length; i++) y[i] *= scale[i % channels];
    if (e.input_scale !== null) {
      const k = values[e.input_scale], groups = k.length / pixels, each = channels / groups;
      for (let i = 0; i < y.length; i++) y[i] *= k[Math.floor(i / each)];
    }
    if (bias !== null) for (let p = 0, i = 0; p < pixels; p++) {
      for (let c = 0, at = rows ? border[p] * channels : 0; c < channels; c++, i++) y[i] += bias.data[at + c];
    }
    if (e.gate !== undefined && e.gate !== null) {
      const gate = values[e.gate];
      for (let i = 0; i < y.length; i++) y[i] *= gate[i % channels];
    }
    if (norm !== null) for (let i = 0; i < y.length; i++) y[i] = fma(y[i], norm[0][i % channels], norm[1][i % channels]);
    if (activation !== null) activation(y);
    if (e.residual !== null) for (let i = 0, r = values[e.residual]; i < y.length; i++) y[i] += r[i];
    if (stream !== null) stream(y);
    return y;
  };
}

/** Numbers pixels×C to the words pixels×P×⌈C/32⌉ of a code. A threshold is failed iff y < t (flip: y > t). */
function thresholdsOf(rule, code, channels, tensors) {
  const {data: limits, shape: [levels]} = tensors[rule.tensor];
  const flip = rule.flip ? tensors[rule.flip].data : new Uint8Array(channels);
  const planes = planeCount(code), words = wordCount(channels), apart = isApart(code);
  return (y) => {
    const pixels = y.length / channels, found = new Int32Array(pixels * planes * words);
    for (let p = 0, i = 0; p < pixels; p++) {
      for (let c = 0; c < channels; c++, i++) {
        const at = p * planes * words + (c >>> 5), bit = 1 << (c & 31);
        let passed = 0;
        for (let l = 0; l < levels; l++) {
          const limit = limits[l * channels + c], fails = flip[c] ? y[i] > limit : y[i] < limit;
          if (apart) { if (fails) found[at + l * words] |= bit; } else if (!fails) passed++;
        }
        if (!apart) for (let q = 0; q < planes; q++) if (!((passed >>> q) & 1)) found[at + q * words] |= bit;
      }
    }
    return found;
  };
}
