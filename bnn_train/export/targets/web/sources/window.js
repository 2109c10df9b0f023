// The walk of a window over a map: sizes, border classes, and the input pixel of each tap (FORMAT.md §4.4, §4.5).

/** Output pixels of one axis. ceil: as in PyTorch's pooling. */
function axisSteps(size, kernel, stride, padding, dilation, ceil) {
  const room = size + 2 * padding - dilation * (kernel - 1) - 1;
  let count = (ceil ? Math.ceil(room / stride) : Math.floor(room / stride)) + 1;
  if (ceil && (count - 1) * stride >= size + padding) count--;
  return count;
}

/** For every output of an axis the input pixel of each tap, −1 outside the map; and its border class. */
function axisOf(size, kernel, stride, padding, dilation, ceil) {
  const steps = axisSteps(size, kernel, stride, padding, dilation, ceil);
  const inputs = new Int32Array(steps * kernel);
  const classes = new Int32Array(steps);
  const known = new Map();
  for (let o = 0; o < steps; o++) {
    let seen = "";
    for (let k = 0; k < kernel; k++) {
      const at = o * stride - padding + k * dilation;
      const inside = at >= 0 && at < size;
      inputs[o * kernel + k] = inside ? at : -1;
      seen += inside ? "1" : "0";
    }
    if (!known.has(seen)) known.set(seen, known.size);
    classes[o] = known.get(seen);
  }
  return {size, steps, kernel, stride, padding, dilation, inputs, classes, classCount: known.size, seen: [...known.keys()]};
}

/** A window over a map of height×width. */
function windowOf({kernel, stride, padding, dilation}, height, width, ceil = false) {
  const rows = axisOf(height, kernel[0], stride[0], padding[0], dilation[0], ceil);
  const columns = axisOf(width, kernel[1], stride[1], padding[1], dilation[1], ceil);
  const pixels = rows.steps * columns.steps, taps = kernel[0] * kernel[1];
  const sources = new Int32Array(pixels * taps); // the input pixel of each tap, −1 outside
  const classes = new Int32Array(pixels);
  for (let r = 0, i = 0, p = 0; r < rows.steps; r++) {
    for (let c = 0; c < columns.steps; c++, p++) {
      classes[p] = rows.classes[r] * columns.classCount + columns.classes[c];
      for (let a = 0; a < kernel[0]; a++) {
        const y = rows.inputs[r * kernel[0] + a];
        for (let b = 0; b < kernel[1]; b++, i++) {
          const x = columns.inputs[c * kernel[1] + b];
          sources[i] = y < 0 || x < 0 ? -1 : y * width + x;
        }
      }
    }
  }
  const isWhole = pixels === 1 && sources.every((source, i) => source === i); // a dense layer
  return {rows, columns, pixels, taps, sources, isWhole, classes, classCount: rows.classCount * columns.classCount};
}

/** Whether tap (a, b) lies in the map, for each border class: classes×taps of 0 and 1. */
function insideByClass({rows, columns, taps, classCount}) {
  const found = new Uint8Array(classCount * taps);
  let i = 0;
  for (const row of rows.seen) {
    for (const column of columns.seen) {
      for (const a of row) for (const b of column) found[i++] = a === "1" && b === "1" ? 1 : 0;
    }
  }
  return found;
}
