"""A program while it grows: every step added agrees with the values that it reads and writes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed.program import (
    Channels,
    Code,
    Concat,
    Geometry,
    InputScale,
    Map,
    Mean,
    Planes,
    Pool,
    Program,
    Step,
    Subsample,
    Value,
)
from fuzz.draw import Draw
from fuzz.windows import FAR, geometry, result_size, wrapping

Array = NDArray[Any]
Type = Literal["u8", "f32", "bits"]


class Budget(NamedTuple):
    """Bounds of a program's parts, so that it runs in about a millisecond."""

    value: int = 2**12
    """Numbers of one value."""
    work: int = 2**17
    """Products of one step."""
    weights: int = 2**13
    """Numbers of one step's weights."""
    taps: int = 64
    """Of most windows; one in fifty may have 65536."""
    wraps: bool = False
    """Whether windows ask for maps whose bytes no machine word can count."""


class Grower:
    """Values, steps and tensors of a program, and the choices that make them."""

    def __init__(self, draw: Draw, budget: Budget) -> None:
        self.draw, self.budget = draw, budget
        self.values: list[Value] = []
        self.steps: list[Step] = []
        self.tensors: dict[str, Array] = {}

    def program(self, output: int) -> Program:
        """The program as it has grown so far."""
        return Program(values=tuple(self.values), steps=tuple(self.steps), output=output)

    def value(
        self, kind: Type, height: int, width: int, channels: int, code: Code | Planes | None = None
    ) -> int:
        """A new value's index."""
        self.values.append(Value(type=kind, height=height, width=width, channels=channels, code=code))
        return len(self.values) - 1

    def tensor(self, array: Array) -> str:
        """A new tensor's name."""
        name = f"t{len(self.tensors)}"
        self.tensors[name] = np.ascontiguousarray(array)
        return name

    def perhaps(self, share: float, make: Callable[[], Array]) -> str | None:
        """A new tensor's name, or None."""
        return self.tensor(make()) if self.draw.often(share) else None

    def layer(self, kind: str) -> str:
        """A name for the next step."""
        return f"{kind}{len(self.steps)}"

    def source(self) -> int:
        """A value to read: mostly the newest one."""
        if self.draw.often(0.75):
            return len(self.values) - 1
        return self.draw.below(len(self.values))

    def of_shape(self, height: int, width: int, channels: int) -> list[int]:
        """The real values that have this shape."""
        wanted = (height, width, channels)
        return [
            i
            for i, v in enumerate(self.values)
            if v.type == "f32" and (v.height, v.width, v.channels) == wanted
        ]

    def window(self, source: int, per_tap: int = 1) -> Geometry:
        """A window over a value, whose cost in products is ``per_tap`` for each tap and pixel."""
        v, budget = self.values[source], self.budget
        if budget.wraps and self.draw.often(0.7):
            return wrapping(self.draw, v.height, v.width)
        most = 2**16 if self.draw.often(0.02) else budget.taps
        taps = max(1, min(most, budget.weights // per_tap, budget.work // per_tap))
        pixels = max(1, budget.work // (per_tap * min(taps, 32)))
        found = geometry(self.draw, v.height, v.width, taps, min(pixels, budget.value // v.channels + 1))
        if self.work(found, source, per_tap) > budget.work:
            return Geometry(kernel=(1, 1), stride=(v.height, v.width))
        return found

    def work(self, g: Geometry, source: int, per_tap: int) -> int:
        """Products of a window over a value."""
        v = self.values[source]
        return math.prod(result_size(g, v.height, v.width)) * g.kernel[0] * g.kernel[1] * per_tap


def add_pool(g: Grower, source: int) -> None:
    """A pooling of reals, or of bits with one plane."""
    v = g.values[source]
    window = g.window(source, v.channels)
    if max(p - k // 2 for p, k in zip(window.padding, window.kernel, strict=True)) > 0 and g.draw.often(0.9):
        window = window.model_copy(update={"padding": (0, 0), "kernel": (1, 1)})
    ceil = g.draw.often(0.3)
    height, width = result_size(window, v.height, v.width, ceil)
    average = v.type == "f32" and g.draw.often(0.5)
    flip = g.perhaps(0.5, lambda: g.draw.flags(v.channels)) if v.type == "bits" else None
    step = Pool(
        layer=g.layer("pool"),
        input=source,
        output=g.value(v.type, height, width, v.channels, v.code),
        kind="average" if average else "max",
        geometry=window,
        ceil=ceil,
        include_padding=g.draw.often(0.5),
        flip=flip,
    )
    g.steps.append(step)


def add_input_scale(g: Grower, source: int, window: Geometry | None = None) -> int:
    """K of XNOR-Net over a real value; ``window``: that of the convolution it serves."""
    v = g.values[source]
    if window is None:
        window = g.window(source, v.channels)
        window = window.model_copy(update={"groups": g.draw.one(divisors(v.channels))})
    size = result_size(window, v.height, v.width)
    output = g.value("f32", *size, window.groups)
    g.steps.append(InputScale(layer=g.layer("k"), input=source, output=output, geometry=window))
    return output


def add_subsample(g: Grower, source: int) -> None:
    """Every so many-th pixel of a real value, in more channels."""
    v = g.values[source]
    stride = (g.draw.one((1, 2, v.height, *FAR)), g.draw.one((1, 2, v.width, *FAR)))
    size = (-(-v.height // stride[0]), -(-v.width // stride[1]))
    room = max(v.channels, g.budget.value // (size[0] * size[1]))
    more = g.draw.one((0, 1, v.channels, g.draw.up_to(64)))
    channels = min(room, v.channels + more)
    before = g.draw.one((0, channels - v.channels, (channels - v.channels) // 2))
    step = Subsample(
        layer=g.layer("skip"),
        input=source,
        output=g.value("f32", *size, channels),
        stride=stride,
        before=before,
    )
    g.steps.append(step)


def add_mean(g: Grower, source: int) -> int:
    """The mean of every channel of a real value."""
    output = g.value("f32", 1, 1, g.values[source].channels)
    g.steps.append(Mean(layer=g.layer("mean"), input=source, output=output))
    return output


def add_concat(g: Grower, source: int) -> None:
    """A real value with another of its size behind it, or with itself."""
    v = g.values[source]
    room = g.budget.value // (v.height * v.width) - v.channels
    found = [
        i
        for i, w in enumerate(g.values)
        if (w.type, w.height, w.width) == ("f32", v.height, v.width) and w.channels <= room
    ]
    if not found:
        return add_channels(g, source)
    second = g.draw.one(found)
    wide = g.value("f32", v.height, v.width, v.channels + g.values[second].channels)
    g.steps.append(Concat(layer=g.layer("join"), input=source, second=second, output=wide))
    return None


def add_channels(g: Grower, source: int) -> None:
    """Some channels of a real value."""
    v = g.values[source]
    kept = g.draw.one((1, v.channels, g.draw.up_to(v.channels), max(1, v.channels - 1)))
    start = g.draw.one((0, v.channels - kept, g.draw.below(v.channels - kept + 1)))
    output = g.value("f32", v.height, v.width, kept)
    g.steps.append(Channels(layer=g.layer("part"), input=source, output=output, start=start))


def add_copy(g: Grower, source: int) -> int:
    """A real value as it is, for others to read."""
    v = g.values[source]
    output = g.value("f32", v.height, v.width, v.channels)
    g.steps.append(Map(layer=g.layer("copy"), input=source, output=output))
    return output


def divisors(count: int) -> list[int]:
    """Numbers of groups: 1, all channels, and some between."""
    return [1, 1, 1, *(d for d in (2, 3, 4, 5, 8, 16) if count % d == 0), count]
