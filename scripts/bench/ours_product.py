"""One product in our engine, as it runs inside a network: packed bits in; float32, or bits, out.

A program takes an image and gives classes, so a step alone is timed as a difference: of a program that holds
it ``COPIES`` times and one that doesn't. Both begin by taking the signs of their float32 input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.cases import Case, Shape
from bench.timing import Engine
from bnn_train.packed.engine import Engine as PackedEngine
from bnn_train.packed.kernels import build
from bnn_train.packed.program import (
    BitWeight,
    Code,
    Conv,
    Epilogue,
    Geometry,
    Map,
    Mean,
    Program,
    Step,
    Thresholds,
    Value,
)

F32, BITS, CALL = "ours f32", "ours bits", "ours call"
COPIES = 2
TOKEN = 32
"""Outputs of the small product that gives the programs their result."""
SIGNS, RESULT, TARGET = 1, 2, 4
"""Values: the packed input, the small product's, the first of the measured ones. Value 3 is the mean of
``RESULT``."""

_TINY = Case(Shape("tiny", 32, 32), 1)

Array = NDArray[Any]
Tensors = Mapping[str, Array]
Runner = Callable[[], object]
Clock = Callable[[], float]


def kernel() -> str:
    """The name of the kernel that is measured."""
    return build(_call(_TINY), _tensors(_TINY)).name


def products(case: Case, threads: int, clock: Clock) -> list[Engine]:
    """Packed to float32 with a scale per channel, packed to bits with a threshold per channel, and a whole
    call from float32 to float32."""
    x = np.ascontiguousarray(case.x.transpose(0, 2, 3, 1))
    tensors = _tensors(case)
    short = build(_program(case, 0, bits=False), tensors)
    engines = []
    for name, bits in ((F32, False), (BITS, True)):
        long = build(_program(case, COPIES, bits=bits), tensors)
        check = _checker(case, long, x, tensors, threads, bits=bits)
        runners = _runner(short, x, threads), _runner(long, x, threads)
        engines.append(_difference(name, *runners, check, clock))
    call = _runner(build(_call(case), tensors), x, threads)
    return [
        *engines,
        Engine(CALL, call, deviation=lambda: _mean_deviation(case, call(), tensors), tolerance=0.01),
    ]


def _runner(engine: PackedEngine, x: Array, threads: int) -> Callable[[], Array]:
    return lambda: engine.run(x, threads)


def _difference(name: str, short: Runner, long: Runner, check: Callable[[], float], clock: Clock) -> Engine:
    spent = [0.0]

    def call() -> None:
        first = clock()
        short()
        second = clock()
        long()
        spent[0] = ((clock() - second) - (second - first)) / COPIES

    return Engine(name, call, inner=lambda: spent[0], deviation=check)


# --------------------------------------------------------------------------------- the programs


def _program(case: Case, copies: int, *, bits: bool) -> Program:
    """Signs, a small product and its mean, then ``copies`` of the step under measurement."""
    s = case.shape
    small = Conv(
        layer="small",
        input=SIGNS,
        output=RESULT,
        weight=BitWeight(tensor="token"),
        geometry=Geometry(kernel=(1, 1)),
    )
    values = [*_inputs(case), _real(s.size, TOKEN), _real(1, TOKEN), *[_target(case, bits=bits)] * copies]
    steps: list[Step] = [_signs(), small, Mean(layer="mean", input=RESULT, output=RESULT + 1)]
    steps += [_step(case, TARGET + i, bits=bits) for i in range(copies)]
    return Program(values=tuple(values), steps=tuple(steps), output=RESULT + 1)


def _call(case: Case) -> Program:
    """float32 in, signs, the product, float32 out: its mean where it is a map."""
    s = case.shape
    values = [*_inputs(case), _real(s.size, s.outputs)]
    steps: list[Step] = [_signs(), _step(case, RESULT, bits=False)]
    if not s.dense:
        values.append(_real(1, s.outputs))
        steps.append(Mean(layer="mean", input=RESULT, output=RESULT + 1))
    return Program(values=tuple(values), steps=tuple(steps), output=len(values) - 1)


def _inputs(case: Case) -> list[Value]:
    s = case.shape
    return [
        _real(s.size, s.inputs),
        Value(type="bits", height=s.size, width=s.size, channels=s.inputs, code=Code()),
    ]


def _real(size: int, channels: int) -> Value:
    return Value(type="f32", height=size, width=size, channels=channels)


def _target(case: Case, *, bits: bool) -> Value:
    s = case.shape
    if not bits:
        return _real(s.size, s.outputs)
    return Value(type="bits", height=s.size, width=s.size, channels=s.outputs, code=Code())


def _signs() -> Map:
    return Map(layer="signs", input=0, bits=SIGNS, thresholds=Thresholds(tensor="zero"))


def _step(case: Case, target: int, *, bits: bool) -> Conv:
    s = case.shape
    geometry = Geometry(kernel=(s.kernel, s.kernel), padding=(s.padding, s.padding))
    name, weight = f"product{target}", BitWeight(tensor="weight")
    if bits:
        thresholds = Thresholds(tensor="thresholds")
        return Conv(
            layer=name, input=SIGNS, bits=target, weight=weight, geometry=geometry, thresholds=thresholds
        )
    return Conv(
        layer=name,
        input=SIGNS,
        output=target,
        weight=weight,
        geometry=geometry,
        epilogue=Epilogue(scale="scale"),
    )


def _tensors(case: Case) -> dict[str, Array]:
    """Scales are powers of two, so that results stay exact."""
    s = case.shape
    rng = np.random.default_rng(1)
    return {
        "zero": np.zeros((1, s.inputs), np.float32),
        "weight": _rows(case.w),
        "token": _rows(case.w[:TOKEN, :, :1, :1]),
        "scale": rng.choice(np.array([0.25, 0.5, 2], np.float32), s.outputs),
        "thresholds": rng.integers(-20, 21, (1, s.outputs), np.int32),
    }


def _rows(w: NDArray[np.float32]) -> NDArray[np.uint8]:
    """1×O×⌈n/8⌉ bits in the order (row, column, channel), set = −1."""
    filters = w.transpose(0, 2, 3, 1).reshape(len(w), -1) < 0
    return np.packbits(filters, axis=1, bitorder="little")[None]


# ----------------------------------------------------------------------------------- the checks


def _checker(
    case: Case, engine: PackedEngine, x: Array, tensors: Tensors, threads: int, *, bits: bool
) -> Callable[[], float]:
    """The deviation of the measured step, run by itself on the engine's own signs."""

    def check() -> float:
        signs = engine.step(0, {0: x}, threads)[SIGNS]
        result = engine.step(3, {SIGNS: signs}, threads)[TARGET]
        if not bits:
            return case.deviation((result / tensors["scale"]).transpose(0, 3, 1, 2))
        passed = case.truth >= tensors["thresholds"].reshape(1, -1, 1, 1)
        return float((_unpacked(result, case.shape.outputs) != passed).sum())

    return check


def _unpacked(words: NDArray[np.uint32], channels: int) -> NDArray[np.bool_]:
    """N×H×W×1×⌈C/32⌉ → N×C×H×W, True for +1."""
    content = np.ascontiguousarray(words[:, :, :, 0]).astype("<u4").view(np.uint8)
    bits = np.unpackbits(content, axis=-1, bitorder="little", count=channels)
    return np.asarray(bits.transpose(0, 3, 1, 2) == 0)


def _mean_deviation(case: Case, result: object, tensors: Tensors) -> float:
    expected = case.truth.astype(np.float64).mean(axis=(2, 3)) * tensors["scale"]
    return float(np.abs(np.asarray(result, np.float64) - expected).max())
