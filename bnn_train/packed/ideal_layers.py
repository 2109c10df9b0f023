"""The speed of a machine's kernels on layers that lie in its nearest caches: the limit of all others."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed import native
from bnn_train.packed.program import (
    BitWeight,
    Code,
    Conv,
    Geometry,
    IntWeight,
    Map,
    Mean,
    Program,
    RealWeight,
    Step,
    Thresholds,
    Value,
    Weight,
)

Array = NDArray[Any]
_HEIGHT, _WIDTH, _OUTPUTS, _TURNS = 8, 12, 64, 100
_CHANNELS = {"sign": 256, "byte": 64, "real": 64}
_WINDOW = Geometry(kernel=(3, 3), padding=(1, 1))


@dataclass(frozen=True)
class Rates:
    """Products a second on one thread."""

    sign: float
    """Signs with signs."""
    byte: float
    """Bytes with bytes."""
    real: float
    """float32 multiply-adds."""

    def of(self, kind: str) -> float:
        """That of ``sign``, ``byte`` or ``real``."""
        return {"sign": self.sign, "byte": self.byte, "real": self.real}[kind]


@cache
def measured(isa: str) -> Rates:
    """The rates of an instruction set: 3×3 over a map of 8×12, 64 filters, the least time of some calls."""
    return Rates(*(_rate(kind, isa) for kind in ("sign", "byte", "real")))


def _rate(kind: str, isa: str) -> float:
    channels = _CHANNELS[kind]
    program, tensors, at = _layer(kind, channels)
    v = program.values[0]
    pixels = np.zeros((1, v.height, v.width, v.channels), np.uint8 if v.type == "u8" else np.float32)
    seconds = native.build(program, tensors, isa).profile(pixels, _TURNS)[at]
    return _HEIGHT * _WIDTH * _OUTPUTS * 9 * channels / max(float(seconds), 1e-9)


def _layer(kind: str, channels: int) -> tuple[Program, dict[str, Array], int]:
    """A program of one convolution, its tensors, and the convolution's place."""
    values = [Value(type="u8" if kind == "byte" else "f32", height=_HEIGHT, width=_WIDTH, channels=channels)]
    steps: list[Step] = []
    shape = (_OUTPUTS, 3, 3, channels)
    weight: Weight = RealWeight(kind="f32", tensor="w")
    tensors: dict[str, Array] = {"w": np.zeros(shape, np.float32), "t": np.zeros((1, channels), np.float32)}
    if kind == "byte":
        weight, tensors["w"] = IntWeight(tensor="w"), np.zeros((1, *shape), np.int8)
    if kind == "sign":
        weight, tensors["w"] = BitWeight(tensor="w"), np.zeros((1, _OUTPUTS, 9 * channels // 8), np.uint8)
        values.append(values[0].model_copy(update={"type": "bits", "code": Code()}))
        steps.append(Map(layer="signs", input=0, bits=1, thresholds=Thresholds(tensor="t")))
    source, target = len(values) - 1, len(values)
    values.append(Value(type="f32", height=_HEIGHT, width=_WIDTH, channels=_OUTPUTS))
    values.append(Value(type="f32", height=1, width=1, channels=_OUTPUTS))
    conv = Conv(layer="conv", input=source, output=target, weight=weight, geometry=_WINDOW)
    steps += [conv, Mean(layer="mean", input=target, output=target + 1)]
    return Program(values=tuple(values), steps=tuple(steps), output=target + 1), tensors, len(steps) - 2
