"""Sheets of pictures as arrays, H×W×3, for TensorBoard: confusion matrix, filters, mistakes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from bnn_train.inspect.filters import Filters
from bnn_train.report.mistakes import Mistake, Picture

WHITE, INK, RED = (255, 255, 255), (27, 31, 36), (180, 35, 24)
LOW, HIGH = np.array([37, 99, 235]), np.array([217, 119, 6])
"""Of weights of one channel: the colours of the most negative and the most positive."""
CELL, LEFT, MOST = 34, 110, 30
"""Pixels of a cell and of the names beside it; classes above which there is no room for numbers."""
TILE = 72


def confusion_sheet(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> Picture:
    """Rows: the truth; columns: the answer. Shaded by the share of the row, with counts if there is room."""
    counts = np.asarray(confusion, np.int64)
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    shades = np.array(WHITE) + shares[..., None] * (LOW - np.array(WHITE))
    if len(classes) > MOST:
        return _enlarged(shades.astype(np.uint8), max(1, 600 // len(classes)))
    return _with_names(counts, shares, shades, classes)


def _with_names(
    counts: NDArray[np.int64],
    shares: NDArray[np.float64],
    shades: NDArray[np.float64],
    classes: Sequence[str],
) -> Picture:
    size = CELL * len(classes)
    sheet = Image.new("RGB", (LEFT + size, size + CELL), WHITE)
    sheet.paste(Image.fromarray(_enlarged(shades.astype(np.uint8), CELL)), (LEFT, CELL))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for i, name in enumerate(classes):
        middle = CELL * i + CELL // 2
        draw.text((LEFT - 6, CELL + middle), _drawn(name, 15), INK, font, anchor="rm")
        draw.text((LEFT + middle, CELL // 2), _drawn(name, 4), INK, font, anchor="mm")
        for j in np.flatnonzero(counts[i]):
            colour = WHITE if shares[i, j] > 0.5 else INK
            place = (LEFT + CELL * int(j) + CELL // 2, CELL + middle)
            draw.text(place, str(counts[i, j]), colour, font, anchor="mm")
    return np.asarray(sheet)


def filter_images(values: NDArray[np.float32]) -> list[Picture]:
    """Filters (N×H×W×C) as pictures: of three channels as colours around grey, of one from blue to orange."""
    largest = np.maximum(np.abs(values).max(axis=(1, 2, 3), keepdims=True), 1e-12)
    signed = values / largest
    if values.shape[3] == 3:
        return list((127.5 * (1 + signed)).round().astype(np.uint8))
    ends = np.where(signed < 0, LOW, HIGH)
    return list((255 + np.abs(signed) * (ends - 255)).round().astype(np.uint8))


def filter_sheet(filters: Filters) -> Picture:
    """The trained numbers above the codes that are multiplied with, where they are codes."""
    kinds = [filters.values, *([] if filters.codes is None else [filters.codes])]
    rows = [_grid([_fitted(one, TILE) for one in filter_images(kind)], 16) for kind in kinds]
    gap = np.full((12, rows[0].shape[1], 3), 255, np.uint8)
    return np.concatenate([rows[0], *(part for row in rows[1:] for part in (gap, row))])


def mistake_sheet(mistakes: Sequence[Mistake]) -> Picture:
    """Each picture above its answer, and the truth."""
    return _grid([_captioned(one) for one in mistakes], 10)


def _captioned(one: Mistake) -> Picture:
    tile = Image.new("RGB", (TILE + 20, TILE + 34), WHITE)
    tile.paste(Image.fromarray(_fitted(one.pixels, TILE)), (10, 0))
    draw, font = ImageDraw.Draw(tile), ImageFont.load_default(11)
    draw.text((tile.width // 2, TILE + 9), _drawn(one.prediction.answer, 13), RED, font, anchor="mm")
    told = f"is {_drawn(one.prediction.label, 11)}"
    draw.text((tile.width // 2, TILE + 24), told, INK, font, anchor="mm")
    return np.asarray(tile)


def _fitted(pixels: Picture, size: int) -> Picture:
    """Centred on a white square; small pictures enlarged by a whole number, so that pixels stay squares."""
    colour = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
    longest = max(colour.shape[:2])
    if longest > size:
        share = size / longest
        shape = (max(1, int(colour.shape[1] * share)), max(1, int(colour.shape[0] * share)))
        colour = np.asarray(Image.fromarray(colour).resize(shape, Image.Resampling.LANCZOS))
    else:
        colour = _enlarged(colour, size // longest)
    square = np.full((size, size, 3), 255, np.uint8)
    top, left = (size - colour.shape[0]) // 2, (size - colour.shape[1]) // 2
    square[top : top + colour.shape[0], left : left + colour.shape[1]] = colour
    return square


def _enlarged(pixels: Picture, factor: int) -> Picture:
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def _grid(tiles: Sequence[Picture], columns: int) -> Picture:
    """Tiles of one size in rows, with a gap between them."""
    height, width = tiles[0].shape[0] + 4, tiles[0].shape[1] + 4
    columns = min(columns, len(tiles))
    sheet = np.full((height * math.ceil(len(tiles) / columns), width * columns, 3), 255, np.uint8)
    for i, tile in enumerate(tiles):
        top, left = height * (i // columns), width * (i % columns)
        sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return sheet


def _drawn(name: str, letters: int) -> str:
    """A name as far as there is room, on one line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    return line if len(line) <= letters else f"{line[: letters - 1]}…"
