// Bits times bits: XOR and popcount (FORMAT.md §5.1). Taps outside the map are read as bits 0 (the sign +1); what
// they should have counted instead is one number for each border class and filter, made beforehand.

/** The terms of a product: a code brings all its planes at once, planes with factors one each. */
function termsOf(code) {
  const all = [...Array(planeCount(code)).keys()];
  return isPlanes(code) ? all.map((p) => ({code: SIGN, planes: [p], index: p})) : [{code, planes: all, index: null}];
}

/** t_pq[c] = f[p, c]·g[q], rounded once; null where both sides are codes. */
function termFactor(w, a, outputs, f, g) {
  if (w.index === null && a.index === null) return null;
  const found = new Float32Array(outputs).fill(1);
  for (let o = 0; o < outputs; o++) {
    if (w.index !== null) found[o] = f[w.index * outputs + o];
    if (a.index !== null) found[o] = found[o] * g[a.index];
  }
  return found;
}

function bitProduct(step, source, outputs, tensors) {
  const {geometry, weight} = step, groups = geometry.groups;
  const walk = windowOf(geometry, source.height, source.width);
  const inner = source.channels / groups, outer = outputs / groups;
  const n = walk.taps * inner, words = wordCount(inner), row = walk.taps * words;
  const signs = filterBits(tensors[weight.tensor], n);
  const planes = planeCount(source.code), filters = filterWords(signs, walk.taps, inner);
  const f = weight.factors ? tensors[weight.factors].data : null;
  const g = step.input_factors ? tensors[step.input_factors].data : null;
  const terms = [];
  for (const w of termsOf(weight.code)) {
    for (const a of termsOf(source.code)) {
      const sums = filterSums(signs, w, outputs, walk.taps, inner);
      terms.push({a, w, factor: termFactor(w, a, outputs, f, g), total: sums.total,
                  outside: outsideSums(sums.codes, a.code, step.pad, walk, outputs)});
    }
  }
  const isWhole = terms[0].factor === null;
  const run = (x) => {
    const y = isWhole ? new Int32Array(walk.pixels * outputs) : new Float32Array(walk.pixels * outputs);
    for (let group = 0; group < groups; group++) {
      const own = sliceWords(x, source.height * source.width * planes, source.channels, group * inner, inner);
      const seen = gatherWords(own, walk, planes, words);
      for (let t = 0; t < terms.length; t++) addTerm(y, terms[t], t === 0, seen, group * outer, outer);
    }
    return y;
  };
  const addTerm = (y, {a, w, factor, total, outside}, isFirst, seen, first, count) => {
    const plain = a.planes.length === 1 && w.planes.length === 1 && !a.code.offset && !w.code.offset;
    const one = plain ? a.code.values[0] * w.code.values[0] : 0, divisor = a.code.denominator * w.code.denominator;
    for (let p = 0; p < walk.pixels; p++) {
      const x = p * planes * row, border = walk.classes[p] * outputs;
      const ownSum = w.code.offset ? w.code.offset * inputSum(seen, x, a, n, row) : 0;
      for (let o = first; o < first + count; o++) {
        let sum;
        if (plain) {
          sum = one * (n - 2 * differences(seen, x + a.planes[0] * row, filters, (w.planes[0] * outputs + o) * row, row));
        } else {
          sum = n * a.code.offset * w.code.offset + a.code.offset * total[o] + ownSum;
          for (let i = 0; i < a.planes.length; i++) {
            for (let j = 0; j < w.planes.length; j++) {
              const apart = differences(seen, x + a.planes[i] * row, filters, (w.planes[j] * outputs + o) * row, row);
              sum += a.code.values[i] * w.code.values[j] * (n - 2 * apart);
            }
          }
        }
        sum = sum / divisor + outside[border + o];
        const at = p * outputs + o;
        if (factor === null) y[at] = sum;
        else if (isFirst) y[at] = factor[o] * Math.fround(sum);
        else y[at] += Math.fround(factor[o] * Math.fround(sum));
      }
    }
  };
  return {run, isWhole, walk};
}

/** P×O×n bits to words with every tap's channels in words of their own: P×O×taps×⌈I/32⌉. */
function filterWords(signs, taps, inner) {
  const rows = signs.length / inner, words = wordCount(inner);
  const found = new Int32Array(rows * words);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < inner; c++) found[r * words + (c >>> 5)] |= signs[r * inner + c] << (c & 31);
  }
  return found;
}

/** Of each filter Σ_q v′_q·t_q over all taps, and the sum of its codes at each tap (O×taps). */
function filterSums(signs, {code, planes}, outputs, taps, inner) {
  const total = new Float64Array(outputs), codes = new Float64Array(outputs * taps);
  for (let o = 0; o < outputs; o++) {
    for (let t = 0; t < taps; t++) {
      let sum = 0;
      planes.forEach((p, i) => {
        const begin = ((p * outputs + o) * taps + t) * inner;
        for (let c = begin; c < begin + inner; c++) sum += code.values[i] * (1 - 2 * signs[c]);
      });
      total[o] += sum;
      codes[o * taps + t] = (inner * code.offset + sum) / code.denominator;
    }
  }
  return {total, codes};
}

/** For each border class and filter: (pad − the code of bits 0)·codes, over the taps outside. */
function outsideSums(codes, a, pad, walk, outputs) {
  const inside = insideByClass(walk), taps = walk.taps;
  const zero = (a.offset + a.values.reduce((s, v) => s + v, 0)) / a.denominator;
  const found = new Float64Array(walk.classCount * outputs);
  for (let k = 0; k < walk.classCount; k++) {
    for (let o = 0; o < outputs; o++) {
      for (let t = 0; t < taps; t++) if (!inside[k * taps + t]) found[k * outputs + o] += (pad - zero) * codes[o * taps + t];
    }
  }
  return found;
}

/** The words under every window: pixels×P×taps×words, 0 outside the map. */
function gatherWords(x, walk, planes, words) {
  if (planes === 1 && walk.isWhole) return x;
  const found = new Int32Array(walk.pixels * planes * walk.taps * words);
  for (let p = 0, i = 0; p < walk.pixels; p++) {
    for (let q = 0; q < planes; q++) {
      for (let t = 0; t < walk.taps; t++) {
        const from = walk.sources[p * walk.taps + t];
        if (from < 0) i += words;
        else for (let w = 0, at = (from * planes + q) * words; w < words; w++) found[i++] = x[at + w];
      }
    }
  }
  return found;
}

/** Σ_p v_p·s_p over a window's n numbers. */
function inputSum(seen, at, {code, planes}, n, row) {
  let sum = 0;
  planes.forEach((p, i) => {
    let negative = 0;
    for (let k = 0; k < row; k++) negative += popcount(seen[at + p * row + k]);
    sum += code.values[i] * (n - 2 * negative);
  });
  return sum;
}
