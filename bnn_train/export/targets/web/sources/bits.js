// Bits: a set bit is the sign −1, so that unused bits, always 0, cancel in a XOR.

const SIGN = {offset: 0, values: [1], denominator: 1};

const isPlanes = (code) => "count" in code;
const planeCount = (code) => (isPlanes(code) ? code.count : code.values.length);
/** Whether each plane has a threshold of its own. */
const isApart = (code) => (isPlanes(code) ? !code.digits : code.values.length === 1);
const wordCount = (channels) => (channels + 31) >>> 5;

/** popcount(a XOR b) over n words from a[i] and b[j] on: three words at a time through one carry-save adder. */
function differences(a, i, b, j, n) {
  let total = 0;
  const end = i + n - (n % 3);
  while (i < end) {
    const stop = Math.min(end, i + 30); // ten times 24 fit in a byte
    let bytes = 0;
    for (; i < stop; i += 3, j += 3) {
      const x = a[i] ^ b[j], y = a[i + 1] ^ b[j + 1], z = a[i + 2] ^ b[j + 2], u = x ^ y;
      let ones = u ^ z, twos = (x & y) | (u & z);
      ones -= (ones >>> 1) & 0x55555555;
      twos -= (twos >>> 1) & 0x55555555;
      ones = (ones & 0x33333333) + ((ones >>> 2) & 0x33333333);
      twos = (twos & 0x33333333) + ((twos >>> 2) & 0x33333333);
      ones += twos << 1;
      bytes += (ones & 0x0f0f0f0f) + ((ones >>> 4) & 0x0f0f0f0f);
    }
    const halves = (bytes & 0x00ff00ff) + ((bytes >>> 8) & 0x00ff00ff);
    total += (halves + (halves >>> 16)) & 0xffff;
  }
  for (let rest = n % 3; rest > 0; rest--) total += popcount(a[i++] ^ b[j++]);
  return total;
}

function popcount(x) {
  x -= (x >>> 1) & 0x55555555;
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** The filters' rows of the file (U8 P×O×⌈n/8⌉) as bits: 1 where the sign is −1, P×O×n. */
function filterBits({shape: [planes, outputs, bytes], data}, n) {
  const found = new Uint8Array(planes * outputs * n);
  for (let row = 0; row < planes * outputs; row++) {
    for (let k = 0; k < n; k++) found[row * n + k] = (data[row * bytes + (k >>> 3)] >>> (k & 7)) & 1;
  }
  return found;
}

/** Channels [first, first + count) of every pixel and plane, in words of their own: pixels×P×⌈count/32⌉. */
function sliceWords(x, rows, channels, first, count) {
  const words = wordCount(channels), own = wordCount(count);
  if (first === 0 && count === channels) return x;
  const found = new Int32Array(rows * own);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < count; c++) {
      const at = first + c;
      found[r * own + (c >>> 5)] |= ((x[r * words + (at >>> 5)] >>> (at & 31)) & 1) << (c & 31);
    }
  }
  return found;
}
