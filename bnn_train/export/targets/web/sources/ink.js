// Handwriting to the pixels of the network, prepared as its data set was. Ink is a grid of numbers, 0 paper to 1 pen.

/** Strokes (lists of [x, y] in 0…1) drawn again at the pen's own thickness, however large they were drawn. */
function inkOfStrokes(strokes, pen) {
  const xs = strokes.flat().map(([x]) => x), ys = strokes.flat().map(([, y]) => y);
  const left = Math.min(...xs), top = Math.min(...ys);
  const side = Math.max(Math.max(...xs) - left, Math.max(...ys) - top, 0.06);
  const size = 160, thick = pen.stroke * size, scale = (size - thick - 4) / side;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.lineWidth = thick;
  context.lineCap = context.lineJoin = "round";
  for (const stroke of strokes) {
    context.beginPath();
    stroke.forEach(([x, y]) => context.lineTo((x - left) * scale + thick / 2 + 2, (y - top) * scale + thick / 2 + 2));
    const [x, y] = stroke[0];
    if (stroke.length === 1) context.lineTo((x - left) * scale + thick / 2 + 2.1, (y - top) * scale + thick / 2 + 2);
    context.stroke();
  }
  const {data} = context.getImageData(0, 0, size, size);
  return {width: size, height: size, data: Float32Array.from({length: size * size}, (_, i) => data[4 * i + 3] / 255)};
}

/** A picture of handwriting: pen darker or lighter than the paper, the paper plain or in a shadow. */
function inkOfPicture(image) {
  const {width, height} = image, [grey] = planesOf(image, 1);
  const border = [];
  for (let x = 0; x < width; x++) border.push(grey[x], grey[(height - 1) * width + x]);
  for (let y = 0; y < height; y++) border.push(grey[y * width], grey[y * width + width - 1]);
  border.sort((a, b) => a - b);
  const paper = border[border.length >> 1], spread = border[Math.floor(border.length * 0.9)] - border[Math.floor(border.length * 0.1)];
  const isDark = paper < 128, shade = isDark ? grey.map((v) => 255 - v) : grey;
  const data = spread < 24 ? plainInk(shade, isDark ? 255 - paper : paper) : shadowedInk(shade, width, height);
  return {width, height, data};
}

function plainInk(shade, paper) {
  const darkest = shade.reduce((a, b) => Math.min(a, b), 255), range = Math.max(40, paper - darkest);
  return shade.map((v) => Math.max(0, Math.min(1, ((paper - v) / range - 0.12) / 0.88)));
}

/** Pen is where a pixel is clearly darker than the mean of its neighbourhood. */
function shadowedInk(shade, width, height) {
  const sums = new Float64Array((width + 1) * (height + 1)), reach = Math.max(4, Math.round(Math.max(width, height) / 8));
  for (let y = 0; y < height; y++) {
    for (let x = 0, row = 0; x < width; x++) {
      row += shade[y * width + x];
      sums[(y + 1) * (width + 1) + x + 1] = sums[y * (width + 1) + x + 1] + row;
    }
  }
  return shade.map((v, i) => {
    const y = Math.floor(i / width), x = i % width;
    const x0 = Math.max(0, x - reach), x1 = Math.min(width, x + reach + 1);
    const y0 = Math.max(0, y - reach), y1 = Math.min(height, y + reach + 1);
    const at = (r, c) => sums[r * (width + 1) + c];
    const mean = (at(y1, x1) - at(y0, x1) - at(y1, x0) + at(y0, x0)) / ((x1 - x0) * (y1 - y0));
    return Math.max(0, Math.min(1, ((mean - v) / mean - 0.15) * 8));
  });
}

/** The box that holds all ink, or null on an empty sheet. */
function inkBox({width, height, data}) {
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let i = 0; i < data.length; i++) {
    if (data[i] < 0.25) continue;
    const x = i % width, y = Math.floor(i / width);
    left = Math.min(left, x), right = Math.max(right, x), top = Math.min(top, y), bottom = Math.max(bottom, y);
  }
  return right < 0 ? null : {left, top, width: right - left + 1, height: bottom - top + 1};
}

/** The inked box stretched to width×height. */
function inkFitted(ink, box, width, height) {
  const cut = new Float32Array(box.width * box.height);
  for (let y = 0; y < box.height; y++) {
    const from = (box.top + y) * ink.width + box.left;
    cut.set(ink.data.subarray(from, from + box.width), y * box.width);
  }
  return resampled(cut, box.width, box.height, width, height);
}

const FITS = {
  /** MNIST: the longer side of the ink becomes `box` pixels, its centre of mass the middle of the image. */
  mass: (ink, box, pen, {width, height}) => {
    const scale = pen.box / Math.max(box.width, box.height);
    const w = Math.max(1, Math.round(box.width * scale)), h = Math.max(1, Math.round(box.height * scale));
    const small = inkFitted(ink, box, w, h);
    let [sum, x0, y0] = [0, 0, 0];
    small.forEach((v, i) => { sum += v; x0 += v * (i % w); y0 += v * Math.floor(i / w); });
    const left = Math.round(width / 2 - x0 / sum), top = Math.round(height / 2 - y0 / sum);
    const found = new Uint8Array(width * height);
    small.forEach((v, i) => {
      const x = left + (i % w), y = top + Math.floor(i / w);
      if (x >= 0 && x < width && y >= 0 && y < height) found[y * width + x] = Math.round(255 * Math.min(1, v * 1.15));
    });
    return found;
  },
  /** The UCI digits: a bitmap of four times the size, full height, of much the same width and amount of ink for all;
      each pixel counts the set bits of a 4×4 block. */
  counts: (ink, box, pen, {width, height}) => {
    const high = 4 * height, ratio = box.width / box.height;
    const wide = Math.round(4 * width * Math.max(pen.narrow, Math.min(pen.wide, (ratio - 0.15) / 0.3 * (pen.wide - pen.narrow) + pen.narrow)));
    const pale = blurred(inkFitted(ink, box, wide, high), wide, high);
    const enough = [...pale].sort((a, b) => b - a)[Math.min(pale.length - 1, Math.round(pen.ink * 16 * width * height))];
    const counts = new Uint8Array(width * height), left = (4 * width - wide) >> 1;
    pale.forEach((v, i) => {
      if (v >= Math.max(enough, 0.12)) counts[(i / wide >> 2) * width + (((i % wide) + left) >> 2)]++;
    });
    return counts.map((count) => rint(count * 255 / 16));
  },
};

/** A blur of a few pixels, so that a threshold can make strokes thicker or thinner. */
function blurred(x, width, height) {
  for (const [step, size, lines] of [[1, width, height], [width, height, width], [1, width, height], [width, height, width]]) {
    const y = new Float32Array(x.length);
    for (let l = 0; l < lines; l++) {
      const begin = l * (step === 1 ? width : 1);
      for (let i = 0; i < size; i++) {
        let sum = 0;
        for (let k = Math.max(0, i - 2); k <= Math.min(size - 1, i + 2); k++) sum += x[begin + k * step];
        y[begin + i * step] = sum / 5;
      }
    }
    x = y;
  }
  return x;
}

/** The uint8 H×W of ink, or null where there is none. */
function pixelsOfInk(ink, pen, images) {
  const box = inkBox(ink);
  return box === null ? null : FITS[pen.fit](ink, box, pen, images);
}
