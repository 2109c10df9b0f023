// The steps without weights (FORMAT.md §5.3 and the table of §5).

function poolOf(step, source, tensors) {
  const walk = windowOf(step.geometry, source.height, source.width, step.ceil);
  if (source.type === "bits") return bitPool(step, walk, source, tensors);
  const channels = source.channels, isMax = step.kind === "max";
  const divisors = isMax ? null : averageDivisors(walk, step.include_padding);
  return (x) => {
    const y = new Float32Array(walk.pixels * channels).fill(isMax ? -Infinity : 0);
    for (let p = 0; p < walk.pixels; p++) {
      for (let t = 0; t < walk.taps; t++) {
        const from = walk.sources[p * walk.taps + t];
        if (from < 0) continue;
        for (let c = 0, i = p * channels, k = from * channels; c < channels; c++, i++, k++) {
          if (!isMax) y[i] += x[k];
          else if (x[k] > y[i] || Number.isNaN(x[k])) y[i] = x[k];
        }
      }
      if (!isMax) for (let i = p * channels; i < (p + 1) * channels; i++) y[i] /= divisors[p];
    }
    return y;
  };
}

/** Taps inside the map, or inside the padded map, of every output pixel. */
function averageDivisors({rows, columns}, padded) {
  const counts = [rows, columns].map((axis) => Array.from({length: axis.steps}, (_, o) => {
    let count = 0;
    for (let k = 0; k < axis.kernel; k++) {
      const at = o * axis.stride - axis.padding + k * axis.dilation, room = padded ? axis.padding : 0;
      if (at >= -room && at < axis.size + room) count++;
    }
    return count;
  }));
  return counts[0].flatMap((a) => counts[1].map((b) => a * b));
}

/** +1, the clear bit, wins a maximum (and) and loses a minimum (or), which is a maximum of falling channels. */
function bitPool(step, walk, source, tensors) {
  const planes = planeCount(source.code), words = wordCount(source.channels), each = planes * words;
  const mask = new Int32Array(words);
  if (step.flip) tensors[step.flip].data.forEach((f, c) => { mask[c >>> 5] |= f << (c & 31); });
  return (x) => {
    const y = new Int32Array(walk.pixels * each);
    for (let p = 0; p < walk.pixels; p++) {
      for (let w = 0; w < each; w++) {
        let highest = -1, lowest = 0;
        for (let t = p * walk.taps; t < (p + 1) * walk.taps; t++) {
          const from = walk.sources[t];
          if (from < 0) continue;
          highest &= x[from * each + w];
          lowest |= x[from * each + w];
        }
        const m = mask[w % words];
        y[p * each + w] = (highest & ~m) | (lowest & m);
      }
    }
    return y;
  };
}

/** K of XNOR-Net: added in float64, divided once, rounded once. */
function inputScaleOf({geometry}, source) {
  const walk = windowOf(geometry, source.height, source.width), inner = source.channels / geometry.groups;
  return (x) => {
    const y = new Float32Array(walk.pixels * geometry.groups);
    for (let p = 0, i = 0; p < walk.pixels; p++) {
      for (let g = 0; g < geometry.groups; g++, i++) {
        let sum = 0;
        for (let t = p * walk.taps; t < (p + 1) * walk.taps; t++) {
          if (walk.sources[t] < 0) continue;
          let own = 0;
          for (let c = 0, k = walk.sources[t] * source.channels + g * inner; c < inner; c++, k++) own += Math.abs(x[k]);
          sum += own;
        }
        y[i] = sum / (walk.taps * inner);
      }
    }
    return y;
  };
}

function subsampleOf(step, source, result) {
  return (x) => {
    const y = new Float32Array(result.height * result.width * result.channels);
    for (let r = 0, p = 0; r < source.height; r += step.stride[0]) {
      for (let c = 0; c < source.width; c += step.stride[1], p++) {
        const from = (r * source.width + c) * source.channels;
        y.set(x.subarray(from, from + source.channels), p * result.channels + step.before);
      }
    }
    return y;
  };
}

function meanOf(source) {
  return (x) => {
    const y = new Float32Array(source.channels), pixels = source.height * source.width;
    for (let c = 0; c < source.channels; c++) {
      let sum = 0;
      for (let p = 0; p < pixels; p++) sum += x[p * source.channels + c];
      y[c] = sum / pixels;
    }
    return y;
  };
}

/** The channels of one or two maps from `start` on, side by side, as many as the result has. */
function joinOf(parts, start, result) {
  const pixels = result.height * result.width, all = parts.reduce((sum, {channels}) => sum + channels, 0);
  return (...arrays) => {
    const y = new Float32Array(pixels * result.channels), row = new Float32Array(all);
    for (let p = 0; p < pixels; p++) {
      let at = 0;
      parts.forEach(({channels}, i) => {
        row.set(arrays[i].subarray(p * channels, (p + 1) * channels), at);
        at += channels;
      });
      y.set(row.subarray(start, start + result.channels), p * result.channels);
    }
    return y;
  };
}
