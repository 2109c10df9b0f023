// A layer's bits as small lights: a set of 1×1 values in rows, or the map of each channel as a tile.

const FADE = 0.86; // of a flash, from frame to frame

/** Where each number of a value is drawn: in device pixels, cells of `cell` with a gap where there is room. */
function gridOf({height, width, channels}, room, ratio) {
  const each = height * width;
  if (each === 1) {
    const least = channels > 1024 ? 5 : 9, columns = Math.min(channels, [128, 64, 32, 16].find((n) => room / n >= least) ?? 16);
    const cell = Math.floor(Math.min(14, room / columns) * ratio);
    return {cell, columns, rows: Math.ceil(channels / columns), tile: 1, shown: channels, gap: 0};
  }

  for (let size = 5; size >= 1; size--) {
    const cell = Math.round(size * ratio), gap = Math.round(3 * ratio), tile = width * cell + gap;
    const columns = Math.min(channels, Math.floor((room * ratio + gap) / tile));
    const rows = Math.ceil(channels / Math.max(1, columns)), high = rows * (height * cell + gap);
    if (columns < 1 || (high > 260 * ratio && size > 1)) continue;
    const fit = Math.max(1, Math.min(rows, Math.floor((420 * ratio) / (height * cell + gap))));
    return {cell, columns, rows: fit, tile: width, shown: Math.min(channels, columns * fit), gap};
  }
  return {cell: 1, columns: 1, rows: 1, tile: width, shown: 1, gap: 0};
}

/** A colour of the page's style as [r, g, b]. */
function colourOf(name) {
  const hex = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
}

const mix = (a, b, t) => a.map((v, i) => v + (b[i] - v) * t);
const packedColour = ([r, g, b]) => (255 << 24) | (Math.round(b) << 16) | (Math.round(g) << 8) | Math.round(r);

/** The palette of levels 0…16 (off to on), each with flashes 0…15. */
function paletteOf() {
  const [off, on, flip] = ["--off", "--on", "--flip"].map(colourOf);
  return Int32Array.from({length: 17 * 16}, (_, i) => packedColour(mix(mix(off, on, (i >> 4) / 16), flip, (i & 15) / 15)));
}

class Lights {
  /** value: its record in the program; levels: what makes numbers 0…1, H×W×C, of its array. */
  constructor(canvas, value, levels) {
    Object.assign(this, {canvas, value, levels, selected: -1, flashes: null, timer: 0, next: null});
    const count = value.height * value.width * value.channels;
    this.now = new Float32Array(count);
    this.flash = new Float32Array(count);
    this.isFirst = true;
  }

  /** Fit into so many CSS pixels and draw anew. */
  fit(room) {
    const ratio = Math.min(3, window.devicePixelRatio || 1), grid = gridOf(this.value, room, ratio);
    const {cell, columns, rows, tile, gap} = grid, high = (tile === 1 && this.value.height === 1 ? 1 : this.value.height) * cell + gap;
    this.grid = {...grid, high, wide: tile * cell + gap};
    this.canvas.width = columns * this.grid.wide - gap;
    this.canvas.height = rows * high - gap;
    this.canvas.style.width = `${this.canvas.width / ratio}px`;
    this.image = this.canvas.getContext("2d").createImageData(this.canvas.width, this.canvas.height);
    this.colours = new Int32Array(this.image.data.buffer);
    this.palette = paletteOf();
    this.draw();
  }

  /** New numbers, after a moment: the signal travels. */
  show(array, delay) {
    this.next = array;
    if (delay === 0) this.take();
    else if (!this.timer) this.timer = setTimeout(() => this.take(), delay);
  }

  take() {
    clearTimeout(this.timer);
    this.timer = 0;
    const levels = this.levels(this.next);
    for (let i = 0; i < levels.length; i++) {
      if (levels[i] !== this.now[i] && !this.isFirst) this.flash[i] = 1;
      this.now[i] = levels[i];
    }
    this.isFirst = false;
    this.changed?.();
    this.fade();
  }

  fade() {
    this.draw();
    let rest = 0;
    for (let i = 0; i < this.flash.length; i++) {
      this.flash[i] = this.flash[i] < 0.06 ? 0 : this.flash[i] * FADE;
      rest += this.flash[i];
    }
    if (rest && !this.frame) this.frame = requestAnimationFrame(() => { this.frame = 0; this.fade(); });
  }

  draw() {
    if (!this.grid) return;
    const {cell, columns, shown, wide, high, tile} = this.grid, {width, height, channels} = this.value;
    const line = cell >= 4 ? Math.max(1, Math.round(cell / 8)) : 0, size = cell - line, stride = this.canvas.width;
    this.colours.fill(0);
    for (let c = 0; c < shown; c++) {
      const left = (c % columns) * wide, top = Math.floor(c / columns) * high;
      for (let p = 0; p < width * height; p++) {
        const i = p * channels + c, flash = Math.round(this.flash[i] * 15);
        const colour = this.palette[(Math.round(this.now[i] * 16) << 4) | flash];
        const x = left + (p % tile) * cell, y = top + Math.floor(p / tile) * cell;
        for (let r = 0, at = y * stride + x; r < size; r++, at += stride) this.colours.fill(colour, at, at + size);
      }
    }
    const context = this.canvas.getContext("2d");
    context.putImageData(this.image, 0, 0);
    if (this.selected >= 0) this.ring(context);
  }

  ring(context) {
    const {cell, columns, wide, high, tile} = this.grid, {channels} = this.value;
    const c = this.selected % channels, p = Math.floor(this.selected / channels);
    const x = (c % columns) * wide + (p % tile) * cell, y = Math.floor(c / columns) * high + Math.floor(p / tile) * cell;
    context.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--text");
    context.lineWidth = Math.max(2, cell / 5);
    context.strokeRect(x - 1, y - 1, cell + 1, cell + 1);
  }

  /** The number at a place of the canvas in CSS pixels, −1 between tiles. */
  at(x, y) {
    const scale = this.canvas.width / this.canvas.clientWidth, {cell, columns, wide, high, tile, gap, shown} = this.grid;
    const u = Math.floor(x * scale), v = Math.floor(y * scale), c = Math.floor(v / high) * columns + Math.floor(u / wide);
    if (c >= shown || u % wide >= wide - gap || v % high >= high - gap) return -1;
    return (Math.floor((v % high) / cell) * tile + Math.floor((u % wide) / cell)) * this.value.channels + c;
  }

  /** The neighbour of the selected number in a direction, itself at an edge. */
  neighbour(right, down) {
    const scale = this.canvas.clientWidth / this.canvas.width, {cell, columns, wide, high, tile} = this.grid;
    const {channels} = this.value, i = Math.max(0, this.selected), c = i % channels, p = Math.floor(i / channels);
    let x = (c % columns) * wide + (p % tile) * cell + cell / 2, y = Math.floor(c / columns) * high + Math.floor(p / tile) * cell + cell / 2;
    for (let tries = 0; tries < 3; tries++) {
      x += right * cell, y += down * cell;
      if (x < 0 || y < 0 || x >= this.canvas.width || y >= this.canvas.height) return i;
      const found = this.at(x * scale, y * scale);
      if (found >= 0) return found;
    }
    return i;
  }
}

/** Bits as levels 0…1: a plane's clear bit is +1; of several planes, the digits of a number. */
function levelsOfBits({height, width, channels, code}) {
  const planes = planeCount(code), words = wordCount(channels), most = isApart(code) ? planes : 2 ** planes - 1;
  const found = new Float32Array(height * width * channels);
  return (x) => {
    for (let i = 0; i < found.length; i++) {
      const p = Math.floor(i / channels), c = i % channels;
      let level = 0;
      for (let q = 0; q < planes; q++) {
        const clear = 1 - ((x[(p * planes + q) * words + (c >>> 5)] >>> (c & 31)) & 1);
        level += isApart(code) ? clear : clear << q;
      }
      found[i] = level / most;
    }
    return found;
  };
}

/** Real numbers as levels: the middle grey is 0. */
function levelsOfReals({height, width, channels}) {
  const found = new Float32Array(height * width * channels);
  return (x) => {
    const most = x.reduce((m, v) => Math.max(m, Math.abs(v)), 1e-9);
    for (let i = 0; i < found.length; i++) found[i] = Number.isNaN(x[i]) ? 0 : 0.5 + x[i] / most / 2;
    return found;
  };
}
