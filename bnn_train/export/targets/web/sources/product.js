// Products with pixels or real numbers (FORMAT.md §5.1). Whole sums stay below 2⁵³, which the export has checked, so
// that float64 holds them exactly, and sums of pixels by weights of two digits and more, in order, with one product beside
// them; real sums are added in float64 and rounded once.

/** Weights as numbers O×n. */
function weightNumbers(weight, outputs, n, inner, tensors) {
  const {data} = tensors[weight.tensor];
  if (weight.kind === "int") return digitNumbers(tensors[weight.tensor], outputs * n);
  if (weight.kind === "f32") return Float64Array.from(data);
  if (weight.kind === "bf16") return Float64Array.from(new Float32Array(Uint32Array.from(data, (u) => u << 16).buffer));
  const signs = filterBits(tensors[weight.tensor], n), each = outputs * n;
  if (isPlanes(weight.code)) return addedPlanes(signs, tensors[weight.factors].data, weight.code.count, outputs, n);
  const {offset, values, denominator} = weight.code, found = new Float64Array(each);
  const gain = weight.gain ? tensors[weight.gain].data : null;
  for (let i = 0; i < each; i++) {
    let sum = offset;
    for (let p = 0; p < values.length; p++) sum += values[p] * (1 - 2 * signs[p * each + i]);
    found[i] = (sum / denominator) * (gain === null ? 1 : gain[i % inner]);
  }
  return found;
}

/** Σ_d 256^d·digit_d. */
function digitNumbers({shape, data}, each) {
  const found = new Float64Array(each);
  for (let d = 0; d < shape[0]; d++) for (let i = 0; i < each; i++) found[i] += 256 ** d * data[d * each + i];
  return found;
}

/** Σ_p factors[p, c]·s_p, added in order of p in float32. */
function addedPlanes(signs, factors, planes, outputs, n) {
  const found = new Float32Array(outputs * n);
  for (let p = 0; p < planes; p++) {
    for (let i = 0; i < found.length; i++) {
      const own = factors[p * outputs + Math.floor(i / n)];
      const term = signs[p * found.length + i] ? -own : own;
      found[i] = p === 0 ? term : found[i] + term;
    }
  }
  return Float64Array.from(found);
}

function numberProduct(step, source, outputs, tensors) {
  const {geometry, weight} = step, groups = geometry.groups;
  const walk = windowOf(geometry, source.height, source.width);
  const inner = source.channels / groups, outer = outputs / groups, n = walk.taps * inner;
  const weights = weightNumbers(weight, outputs, n, inner, tensors);
  const isInt = weight.kind === "int", isRounded = source.type !== "u8" && isInt;
  const isInOrder = source.type === "u8" && isInt && tensors[weight.tensor].shape[0] > 1;
  const isWhole = source.type === "u8" && !isInOrder;
  const seen = new Float64Array(n);
  const run = (x) => {
    const rounded = isRounded ? roundedInput(x) : null, numbers = rounded === null ? x : rounded.q;
    const y = isWhole ? new Float64Array(walk.pixels * outputs) : new Float32Array(walk.pixels * outputs);
    for (let p = 0; p < walk.pixels; p++) {
      for (let group = 0; group < groups; group++) {
        gatherNumbers(numbers, p, group * inner);
        for (let o = group * outer; o < (group + 1) * outer; o++) {
          let sum = 0;
          if (isInOrder) for (let k = 0, w = o * n; k < n; k++, w++) sum = Math.fround(sum + seen[k] * weights[w]);
          else for (let k = 0, w = o * n; k < n; k++, w++) sum += seen[k] * weights[w];
          y[p * outputs + o] = rounded === null ? sum : Math.fround(sum) * rounded.unit;
        }
      }
    }
    return y;
  };
  const gatherNumbers = (x, p, first) => {
    for (let t = 0, k = 0; t < walk.taps; t++) {
      const from = walk.sources[p * walk.taps + t];
      if (from < 0) for (let c = 0; c < inner; c++) seen[k++] = 0;
      else for (let c = 0, at = from * source.channels + first; c < inner; c++) seen[k++] = x[at + c];
    }
  };
  return {run, isWhole, walk};
}

/** Real inputs as whole numbers of 8 bits: m = max |x|, q = rint(x·(127/m)), 0 where 127/m is not usable. */
function roundedInput(x) {
  let m = 0;
  for (const v of x) if (!(Math.abs(v) <= m)) m = Number.isNaN(m) ? m : Math.abs(v); // NaN stays
  const factor = Math.fround(127 / m), usable = Number.isFinite(factor) && factor > 0;
  const q = new Int8Array(x.length);
  if (usable) for (let i = 0; i < x.length; i++) q[i] = rint(Math.fround(x[i] * factor));
  return {q, unit: Math.fround(m / 127)};
}
