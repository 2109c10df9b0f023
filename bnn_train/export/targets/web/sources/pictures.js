// A picture to the pixels of the network: shorter side resized, the middle cut out, as an evaluation does.

const LARGEST = 1600; // a photo's longer side, before it is made smaller

/** A decoded picture, video frame or canvas as ImageData on white, at most LARGEST pixels long. */
function imageDataOf(source, width, height) {
  const scale = Math.min(1, LARGEST / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

/** RGBA to planes of numbers: grey as ITU-R 601 has it, or red, green, blue. */
function planesOf({data, width, height}, channels) {
  const count = width * height;
  if (channels === 1) {
    const grey = new Float32Array(count);
    for (let i = 0; i < count; i++) {
      grey[i] = (data[4 * i] * 19595 + data[4 * i + 1] * 38470 + data[4 * i + 2] * 7471 + 0x8000) >> 16;
    }
    return [grey];
  }
  return [0, 1, 2].map((c) => Float32Array.from({length: count}, (_, i) => data[4 * i + c]));
}

/** The uint8 H×W×C of a picture, cut and resized to what the network takes. */
function pixelsOfPicture(image, {height, width, channels, resize}) {
  const least = resize ?? Math.ceil(Math.max(width, height * Math.min(image.width, image.height) / image.height,
    width * Math.min(image.width, image.height) / image.width));
  const size = resizedSize(image.width, image.height, least);
  const wide = Math.max(size[0], width), high = Math.max(size[1], height);
  const left = rint((wide - width) / 2), top = rint((high - height) / 2);
  const found = new Uint8Array(height * width * channels);
  planesOf(image, channels).forEach((plane, c) => {
    const small = resampled(plane, image.width, image.height, wide, high);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const v = small[(y + top) * wide + x + left];
        found[(y * width + x) * channels + c] = Math.max(0, Math.min(255, Math.round(v)));
      }
    }
  });
  return found;
}

/** Width and height where the shorter side becomes `side`; the longer in proportion, rounded down. */
function resizedSize(width, height, side) {
  const other = Math.floor((side * Math.max(width, height)) / Math.min(width, height));
  return width <= height ? [side, other] : [other, side];
}

/** Bilinear and antialiased: each result weighs the numbers under a triangle as wide as the scale. */
function resampled(plane, width, height, newWidth, newHeight) {
  const across = triangles(width, newWidth), down = triangles(height, newHeight);
  const rows = new Float32Array(height * newWidth), found = new Float32Array(newHeight * newWidth);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < newWidth; x++) {
      const {first, weights} = across[x];
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * plane[y * width + first + k];
      rows[y * newWidth + x] = sum;
    }
  }
  for (let y = 0; y < newHeight; y++) {
    const {first, weights} = down[y];
    for (let k = 0; k < weights.length; k++) {
      for (let x = 0; x < newWidth; x++) found[y * newWidth + x] += weights[k] * rows[(first + k) * newWidth + x];
    }
  }
  return found;
}

function triangles(size, newSize) {
  const scale = size / newSize, reach = Math.max(scale, 1);
  return Array.from({length: newSize}, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - reach + 0.5)), end = Math.min(size, Math.floor(centre + reach + 0.5));
    const raw = Array.from({length: Math.max(1, end - first)}, (_, k) =>
      Math.max(0, 1 - Math.abs((first + k + 0.5 - centre) / reach)));
    const sum = raw.reduce((a, b) => a + b, 0) || 1;
    return {first: Math.min(first, size - 1), weights: raw.map((w) => w / sum)};
  });
}
