"""The structures of ``csrc/abi.h`` and a program as they hold it."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed.program import (
    Activation,
    BitWeight,
    Channels,
    Code,
    Concat,
    Conv,
    Epilogue,
    EpilogueStep,
    Geometry,
    InputScale,
    IntWeight,
    Map,
    Planes,
    Pool,
    Prelu,
    Program,
    Step,
    Subsample,
    Value,
    Weight,
)

Array = NDArray[Any]
Tensors = Mapping[str, Array]

ISAS = ("avx512", "avx2", "neon", "portable")
"""As numbered in ``BnnIsa``, best first."""
TYPES = ("u8", "f32", "bits")
OPS = ("conv", "map", "pool", "input_scale", "subsample", "mean", "concat", "channels")
WEIGHTS = ("bits", "int", "f32", "bf16")
ACTIVATIONS = ("none", "relu", "hardtanh", "sigmoid", "prelu")

_Int = ctypes.c_int64
_Pair = _Int * 2


class CTensor(ctypes.Structure):
    """``BnnTensor``."""

    _fields_ = (("data", ctypes.c_void_p), ("bytes", _Int))


class CSignProduct(ctypes.Structure):
    """``BnnSignProduct``."""

    _fields_ = (
        *((name, _Int) for name in ("images", "inputs", "outputs", "height", "width")),
        *((name, _Int) for name in ("out_height", "out_width")),
        *((name, _Pair) for name in ("kernel", "stride", "padding", "dilation")),
    )

    @classmethod
    def of(
        cls,
        x: Sequence[int],
        weight: Sequence[int],
        y: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
    ) -> CSignProduct:
        """Of the shapes N×I×H×W, O×I×Kh×Kw and N×O×H′×W′."""
        pairs = (_Pair(*pair) for pair in (weight[2:], stride, padding, dilation))
        return cls(x[0], x[1], weight[0], *x[2:], *y[2:], *pairs)


class CCode(ctypes.Structure):
    """``BnnCode``."""

    _fields_ = (
        *((name, _Int) for name in ("offset", "denominator", "planes", "factored")),
        ("values", _Int * 8),
    )


class CValue(ctypes.Structure):
    """``BnnValue``."""

    _fields_ = (("type", _Int), ("height", _Int), ("width", _Int), ("channels", _Int), ("code", CCode))


class CBend(ctypes.Structure):
    """``BnnBend``."""

    _fields_ = (
        ("kind", _Int),
        *((name, CTensor) for name in ("before", "negative", "positive", "after")),
    )


class CStep(ctypes.Structure):
    """``BnnStep``."""

    _fields_ = (
        *((name, _Int) for name in ("op", "input", "output", "bits")),
        *((name, _Pair) for name in ("kernel", "stride", "padding", "dilation")),
        *((name, _Int) for name in ("groups", "weight_kind", "digits")),
        ("weight", CTensor),
        ("weight_code", CCode),
        *((name, CTensor) for name in ("gain", "factors", "input_factors")),
        ("pad", _Int),
        *((name, CTensor) for name in ("scale", "bias", "norm_factor", "norm_summand")),
        *((name, _Int) for name in ("input_scale", "gate", "residual")),
        *((name, CBend) for name in ("activation", "stream")),
        ("thresholds", CTensor),
        ("flip", CTensor),
        *((name, _Int) for name in ("float_thresholds", "average", "include_padding", "before", "second")),
    )


class CProgram(ctypes.Structure):
    """``BnnProgram``."""

    _fields_ = (
        ("value_count", _Int),
        ("step_count", _Int),
        ("output", _Int),
        ("values", ctypes.POINTER(CValue)),
        ("steps", ctypes.POINTER(CStep)),
    )


class Flat:
    """A program and its tensors as the library reads them; it copies what it needs."""

    def __init__(self, program: Program, tensors: Tensors) -> None:
        self._tensors = tensors
        self._kept: list[Array] = []
        self._values = (CValue * len(program.values))(*map(_value, program.values))
        self._steps = (CStep * len(program.steps))(*map(self._step, program.steps))
        self.program = CProgram(
            len(program.values), len(program.steps), program.output, self._values, self._steps
        )

    @property
    def bytes(self) -> int:
        """Of all tensors that steps name, each as often as it is named."""
        return sum(array.nbytes for array in self._kept)

    def _tensor(self, name: str | None) -> CTensor:
        if name is None:
            return CTensor(None, 0)
        array = np.ascontiguousarray(self._tensors[name])
        self._kept.append(array)
        return CTensor(array.ctypes.data, array.nbytes)

    def _step(self, step: Step) -> CStep:
        absent = dict.fromkeys(("bits", "input_scale", "gate", "residual", "second"), -1)
        c = CStep(op=OPS.index(step.op), input=step.input, groups=1, **absent)
        c.output = -1 if step.output is None else step.output
        if isinstance(step, Conv | Map):
            self._results(c, step, step.epilogue)
        if isinstance(step, Conv):
            self._weight(c, step.weight)
            c.pad, c.input_factors = step.pad, self._tensor(step.input_factors)
        if isinstance(step, Pool):
            c.average, c.include_padding = step.kind == "average", step.include_padding
            c.flip = self._tensor(step.flip)
        match step:
            case Subsample():
                c.kernel = c.dilation = _Pair(1, 1)
                c.stride, c.before = _Pair(*step.stride), step.before
            case Conv() | Pool() | InputScale():
                _geometry(c, step.geometry)
            case Concat():
                c.second = step.second
            case Channels():
                c.before = step.start
        return c

    def _weight(self, c: CStep, weight: Weight) -> None:
        c.weight_kind = WEIGHTS.index(weight.kind)
        c.weight = self._tensor(weight.tensor)
        c.weight_code = _code(weight.code if isinstance(weight, BitWeight) else None)
        if isinstance(weight, BitWeight):
            c.gain, c.factors = self._tensor(weight.gain), self._tensor(weight.factors)
        if isinstance(weight, IntWeight):
            c.digits = len(self._tensors[weight.tensor])

    def _results(self, c: CStep, step: EpilogueStep, e: Epilogue) -> None:
        c.bits = _index(step.bits)
        c.input_scale, c.gate, c.residual = map(_index, (e.input_scale, e.gate, e.residual))
        c.scale, c.bias = self._tensor(e.scale), self._tensor(e.bias)
        if e.norm is not None:
            c.norm_factor, c.norm_summand = map(self._tensor, e.norm)
        c.activation, c.stream = map(self._bend, e.bends)
        if step.thresholds is not None:
            c.thresholds, c.flip = self._tensor(step.thresholds.tensor), self._tensor(step.thresholds.flip)
            c.float_thresholds = self._tensors[step.thresholds.tensor].dtype == np.float32

    def _bend(self, activation: Activation) -> CBend:
        if not isinstance(activation, Prelu):
            return CBend(kind=ACTIVATIONS.index(activation))
        names = (activation.before, activation.negative, activation.positive, activation.after)
        return CBend(ACTIVATIONS.index("prelu"), *map(self._tensor, names))


def pointers(count: int, arrays: Mapping[int, Array]) -> ctypes.Array[ctypes.c_void_p]:
    """One pointer for each of ``count`` values, null where there is no array."""
    addresses: Sequence[int | None] = [arrays[v].ctypes.data if v in arrays else None for v in range(count)]
    return (ctypes.c_void_p * count)(*addresses)


def _index(value: int | None) -> int:
    return -1 if value is None else value


def _code(code: Code | Planes | None) -> CCode:
    if code is None:
        return CCode(0, 1, 0)
    if isinstance(code, Planes):
        return CCode(0, 1, code.planes, 2 if code.digits else 1, (_Int * 8)())
    return CCode(code.offset, code.denominator, code.planes, 0, (_Int * 8)(*code.values))


def _value(value: Value) -> CValue:
    return CValue(TYPES.index(value.type), value.height, value.width, value.channels, _code(value.code))


def _geometry(c: CStep, g: Geometry) -> None:
    c.kernel, c.stride, c.padding, c.dilation = (
        _Pair(*p) for p in (g.kernel, g.stride, g.padding, g.dilation)
    )
    c.groups = g.groups
