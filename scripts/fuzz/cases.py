"""One random program for each seed, with its header and tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed.limits import memory
from bnn_train.packed.program import Geometry, Header, Images, Preprocess, version_of
from fuzz.damage import damage
from fuzz.draw import Draw
from fuzz.epilogue_steps import add_conv, add_map
from fuzz.grower import (
    Budget,
    Grower,
    add_channels,
    add_concat,
    add_input_scale,
    add_mean,
    add_pool,
    add_subsample,
)

Array = NDArray[Any]
MIB = 2**20
LIMIT = 64 * MIB
MOST_CLASSES = 2**16
BROKEN = 0.15
"""The share of programs with one rule broken."""


class Case(NamedTuple):
    """A program to try."""

    seed: int
    header: Header
    tensors: dict[str, Array]
    memory_limit: int = LIMIT
    broken: str | None = None
    """The rule broken on purpose; None: every rule should hold, or nearly so."""

    def images(self, count: int) -> NDArray[np.uint8]:
        """Random images."""
        wanted = self.header.images
        return Draw(self.seed + 1).octets(count, wanted.height, wanted.width, wanted.channels)


class Sketch(NamedTuple):
    """The first choices of a program."""

    height: int
    width: int
    channels: int
    steps: int
    budget: Budget = Budget()
    limit: int = LIMIT


def generate(seed: int) -> Case:
    """The program of a seed."""
    draw = Draw(seed)
    sketch = _sketch(draw)
    real = draw.often(0.5)
    g = Grower(draw, sketch.budget)
    g.value("f32" if real else "u8", sketch.height, sketch.width, sketch.channels)
    for _ in range(sketch.steps):
        grow(g)
    output = head(g)
    steps = tuple(_preprocess(g) for _ in range(_preprocess_count(draw))) if real else ()
    resize = draw.one((1, 4096, 255)) if draw.often(0.2) else None
    program = g.program(output)
    header = Header(
        version=version_of(program),
        images=Images(
            height=sketch.height,
            width=sketch.width,
            channels=sketch.channels,
            resize=resize,
            preprocess=steps,
        ),
        classes=tuple(map(str, range(g.values[output].channels))),
        method="bnn",
        model="random",
        program=program,
        experiment={},
        made_by="fuzz",
    )
    case = Case(seed, header, g.tensors, _memory_limit(draw, header, g.tensors, sketch.limit))
    if not draw.often(BROKEN):
        return case
    header, tensors, how = damage(draw, header, g.tensors)
    return case._replace(header=header, tensors=tensors, broken=how)


def _memory_limit(draw: Draw, header: Header, tensors: dict[str, Array], usual: int) -> int:
    """The usual limit, or about as much as the program needs."""
    if draw.often(0.95):
        return usual
    needed = sum(tensor.nbytes for tensor in tensors.values()) + memory(header.program)
    share = draw.one((0.9, 1.0, 1.0, 1.1, 1.5, 2.0, 4.0))
    return min(usual, int(needed * share) + draw.below(2**14))


def _sketch(draw: Draw) -> Sketch:
    at = draw.random.random()
    for share, make in _SKETCHES:
        at -= share
        if at < 0:
            return make(draw)
    return _small(draw)


def _small(draw: Draw) -> Sketch:
    channels = draw.channels(1000)
    height = draw.size(max(1, min(255, 2**12 // channels)))
    width = draw.size(max(1, min(255, 2**12 // channels // height)))
    if draw.often(0.5):
        height, width = width, height
    return Sketch(height, width, channels, 1 + draw.below(4))


def _chain(draw: Draw) -> Sketch:
    budget = Budget(value=2**9, work=2**12, weights=2**9, taps=9)
    return Sketch(draw.size(9), draw.size(9), draw.channels(8), 5 + draw.below(30), budget)


def _many(draw: Draw) -> Sketch:
    budget = Budget(value=2**6, work=2**8, weights=2**6, taps=4)
    return Sketch(draw.size(3), draw.size(3), draw.channels(2), 100 + draw.below(1900), budget)


def _wide(draw: Draw) -> Sketch:
    budget = Budget(value=2**17, weights=2**17, work=2**18, taps=2**16)
    return Sketch(draw.size(2), 1, draw.one((1023, 4095, 4096, 65535, 65536)), 1 + draw.below(2), budget)


def _wraps(draw: Draw) -> Sketch:
    budget = Budget(value=2**17, weights=2**17, work=2**18, wraps=True)
    channels = draw.one((2**13, 2**14, 2**15, 2**16, 2**17))
    return Sketch(draw.one((1, 1, 1, 2)), 1, channels, 1 + draw.below(2), budget)


def _long(draw: Draw) -> Sketch:
    size = draw.one((2**12 - 1, 2**14, 2**16, 2**16 + 1))
    height, width = (size, 1) if draw.often(0.5) else (1, size)
    return Sketch(height, width, 1, 1 + draw.below(2), Budget(value=2**17, work=2**18, taps=2**16))


def _limit(draw: Draw) -> Sketch:
    """A first value that takes a third of the memory limit, or as much as it."""
    limit = draw.one((1, 1, 2, 4)) * MIB // draw.one((1, 1, 4))
    channels = draw.channels(128)
    pixels = max(1, int(limit * (0.2 + draw.random.random()) / draw.one((1, 4)) / channels))
    height = draw.size(min(pixels, 255))
    budget = Budget(value=limit // 4, work=2**20, weights=2**14, taps=9)
    return Sketch(height, max(1, pixels // height), channels, 1 + draw.below(3), budget, limit)


_SKETCHES: tuple[tuple[float, Callable[[Draw], Sketch]], ...] = (
    (0.85, _small),
    (0.08, _chain),
    (0.0002, _many),
    (0.02, _wide),
    (0.005, _wraps),
    (0.02, _long),
    (0.01, _limit),
)


def grow(g: Grower) -> None:
    """One more step that the newest value, or an older one, can have."""
    source = g.source()
    v = g.values[source]
    if v.type == "u8":
        add_conv(g, source)
    elif v.type == "bits":
        pooled = v.code is not None and v.code.apart
        (add_pool if pooled and g.draw.often(0.25) else add_conv)(g, source)
    else:
        g.draw.one(_REAL_STEPS)(g, source)


_REAL_STEPS: tuple[Callable[[Grower, int], Any], ...] = (
    add_conv, add_conv, add_conv, add_map, add_map, add_pool, add_input_scale, add_subsample, add_mean,
    add_concat, add_channels,
)  # fmt: skip


def head(g: Grower) -> int:
    """The logits: a real value of one pixel that depends on the newest value."""
    source = len(g.values) - 1
    v = g.values[source]
    flat = (v.height, v.width) == (1, 1)
    few = v.type == "f32" and v.channels <= MOST_CLASSES
    if few and flat and source > 0 and g.draw.often(0.5):
        return source
    if few and g.draw.often(0.6):
        return add_mean(g, source)
    outputs = g.draw.one((1, 2, 3, 10, 65))
    whole = Geometry(kernel=(v.height, v.width))
    if g.work(whole, source, v.channels * outputs) > min(g.budget.work, 16 * g.budget.weights):
        whole = Geometry(kernel=(1, 1), stride=(v.height, v.width))
        outputs = max(1, min(outputs, g.budget.weights // v.channels))
    elif v.height * v.width > 2**16:
        whole = Geometry(kernel=(1, 1), stride=(v.height, v.width))
    return add_conv(g, source, outputs, whole)


Kind = Literal["scale01", "signed", "mean_std", "pixel_mean", "gcn", "zca", "lcn"]
_KINDS: tuple[Kind, ...] = ("scale01", "signed", "mean_std", "pixel_mean", "gcn", "zca", "lcn")


def _preprocess_count(draw: Draw) -> int:
    return draw.one((1, 1, 1, 1, 2, 3)) if draw.often(0.97) else draw.one((4, 8, 15, 16))


def _preprocess(g: Grower) -> Preprocess:
    draw, v = g.draw, g.values[0]
    kind: Kind = draw.one(_KINDS)
    pixels = v.height * v.width * v.channels
    if kind == "zca" and pixels > 256:
        kind = "gcn"
    if kind == "lcn" and pixels > 2**14:
        kind = "pixel_mean"
    tensors: dict[str, Array] = {}
    options: dict[str, float | int | str] = {}
    match kind:
        case "mean_std":
            tensors = {"mean": draw.reals(v.channels), "std": draw.positive(v.channels)}
        case "pixel_mean":
            tensors = {"mean": draw.reals(v.channels, v.height, v.width)}
        case "zca":
            tensors = {"mean": draw.reals(pixels), "matrix": draw.reals(pixels, pixels)}
            options = {"bias": _setting(draw, 0.0)} if draw.often(0.5) else {}
        case "gcn":
            norm = draw.one(("l2", "std"))
            options = {"scale": _setting(draw, 1e-30), "norm": norm, "bias": _setting(draw, 0.0)}
        case "lcn":
            kernel = draw.one((3, 3, 5, 7)) if draw.often(0.99) else draw.one((63, 255))
            options = {"kernel": kernel, "threshold": _setting(draw, 1e-30)}
    names = {key: g.tensor(array) for key, array in tensors.items()}
    return Preprocess(kind=kind, options=options, tensors=names)


def _setting(draw: Draw, least: float) -> float | int:
    """A number of a preprocessing: ordinary, or the least or the largest there may be."""
    if draw.often(0.8):
        return draw.one((1.0, 10.0, 55.5, 1, 1e-4))
    return draw.one((least, 1e-30, 1e-8, 1e30, 1e29))
