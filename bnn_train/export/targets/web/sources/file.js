// The packed file that the page carries: eight bytes of length, a JSON table, the tensors (packed/FORMAT.md §1).

const ARRAYS = {U8: Uint8Array, I8: Int8Array, U16: Uint16Array, I32: Int32Array, F32: Float32Array};

/** The bytes of a base64 text. */
function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** The base64 text of bytes. */
function base64Of(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 4096) text += String.fromCharCode(...bytes.subarray(i, i + 4096));
  return btoa(text);
}

/** Header and tensors. The export has checked the file; this only reads it. */
function readPacked(bytes) {
  const length = new DataView(bytes.buffer).getUint32(0, true);
  const table = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const header = JSON.parse(table.__metadata__.header);
  delete table.__metadata__;
  const tensors = {};
  for (const [name, {dtype, shape, data_offsets: [begin, end]}] of Object.entries(table)) {
    const kind = ARRAYS[dtype];
    const data = new kind(bytes.buffer.slice(8 + length + begin, 8 + length + end));
    tensors[name] = {shape, data};
  }
  return {header, tensors};
}
