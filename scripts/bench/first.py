"""The layer that reads the image: pixels times whole weights, bits out, against one pass of fused
multiply-adds over it.

As in ``ours_product`` a step is timed as a difference: of a program that holds it ``COPIES`` times and one
that doesn't.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from bench.limits import Limit, limits
from bench.record import Record
from bench.table import Row
from bench.timing import Engine, Plan, Sample, interleave, ratio
from bnn_train.packed.engine import Engine as PackedEngine
from bnn_train.packed.kernels import build
from bnn_train.packed.program import (
    Conv,
    Epilogue,
    Geometry,
    IntWeight,
    Mean,
    Program,
    Step,
    Thresholds,
    Value,
)
from bnn_train.packed.shapes import output_size

DIGITS = {"exact": 3, "int8": 1}
"""The forms of the weights: 24 bits, as trained, and 8."""
GOALS = {"exact": 1.15, "int8": 0.6}
"""The time, in passes of fused multiply-adds."""
COPIES = 2
TINY, BITS = 1, 3
"""Values: a small product that gives the programs their result (its mean is the next), the first of the
measured."""
WRONG = 1e-3
"""The share of bits that rounding may turn: every threshold is the sum of some pixel."""

Array = NDArray[Any]


@dataclass(frozen=True)
class First:
    """A first layer and one image, each with random numbers."""

    name: str
    size: int
    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    digits: int = 3

    @property
    def geometry(self) -> Geometry:
        """With about the same map, or a part of it by the stride."""
        padding = (self.kernel - 1) // 2 if self.stride < 4 else 2
        return Geometry(kernel=(self.kernel,) * 2, stride=(self.stride,) * 2, padding=(padding,) * 2)

    @property
    def out(self) -> int:
        """The side of the result."""
        return output_size(self.geometry, self.size, self.size)[0]

    @property
    def macs(self) -> int:
        """Multiply-accumulates; padded taps count as work."""
        return self.out**2 * self.outputs * self.inputs * self.kernel**2

    @cached_property
    def image(self) -> NDArray[np.uint8]:
        """1×H×W×C."""
        return self._rng.integers(0, 256, (1, self.size, self.size, self.inputs), dtype=np.uint8)

    @cached_property
    def tensors(self) -> dict[str, Array]:
        """Digits, scales and thresholds; the small product's one weight."""
        shape = (self.digits, self.outputs, self.kernel, self.kernel, self.inputs)
        digits = self._rng.integers(-128, 128, shape).astype(np.int8)
        scale = (1 / 256.0**self.digits) * (1 + self._rng.random(self.outputs, np.float32))
        middle = (digits[-1].sum(axis=(1, 2, 3)) / 2 * scale * 256.0**self.digits).astype(np.float32)
        return {
            "tiny": np.ones((1, 1, 1, 1, self.inputs), np.int8),
            "weight": digits,
            "scale": scale.astype(np.float32),
            "thresholds": middle[None],
        }

    @cached_property
    def truth(self) -> NDArray[np.bool_]:
        """1×O×H×W: whether a sum of float64 passes."""
        factors = 256.0 ** np.arange(self.digits)
        stored = self.tensors["weight"].astype(np.float64)
        weight = torch.from_numpy(np.einsum("d...,d->...", stored, factors))
        pixels = torch.from_numpy(self.image.astype(np.float64)).permute(0, 3, 1, 2)
        sums = F.conv2d(pixels, weight.permute(0, 3, 1, 2), None, self.stride, self.geometry.padding)
        limits = self.tensors["thresholds"].reshape(-1, 1, 1) / self.tensors["scale"].reshape(-1, 1, 1)
        return np.asarray(sums.numpy() >= limits)

    @property
    def _rng(self) -> np.random.Generator:
        return np.random.default_rng([self.size, self.inputs, self.outputs, self.kernel])

    def program(self, copies: int) -> Program:
        """The small product and its mean, then ``copies`` of the layer."""
        size = (self.size,) * 2
        values = [_value("u8", size, self.inputs), _value("f32", size, 1), _value("f32", (1, 1), 1)]
        values += [_value("bits", (self.out,) * 2, self.outputs)] * copies
        one = Geometry(kernel=(1, 1))
        tiny = Conv(layer="tiny", input=0, output=TINY, weight=IntWeight(tensor="tiny"), geometry=one)
        layers = [self._layer(BITS + i) for i in range(copies)]
        steps: tuple[Step, ...] = (tiny, Mean(layer="mean", input=TINY, output=TINY + 1), *layers)
        return Program(values=tuple(values), steps=steps, output=TINY + 1)

    def _layer(self, target: int) -> Conv:
        return Conv(
            layer=f"first{target}",
            input=0,
            bits=target,
            weight=IntWeight(tensor="weight"),
            geometry=self.geometry,
            epilogue=Epilogue(scale="scale"),
            thresholds=Thresholds(tensor="thresholds"),
        )


LAYERS = (
    First("ResNet-18, 224²×3 → 64, 7×7/2", 224, 3, 64, 7, 2),
    First("AlexNet, 224²×3 → 96, 11×11/4", 224, 3, 96, 11, 4),
    First("AlexNet, 224²×3 → 64, 11×11/4", 224, 3, 64, 11, 4),
    First("CIFAR, 32²×3 → 128, 3×3", 32, 3, 128, 3),
    First("MNIST, 28²×1 → 32, 5×5", 28, 1, 32, 5),
)


def measure(record: Record, plan: Plan, *, quick: bool) -> None:
    """A row for each layer and form of weights."""
    bound = _fused(limits(1))
    rows: list[Row] = []
    found: dict[str, dict[str, Sample]] = {}
    for shape in LAYERS[-2:] if quick else LAYERS:
        cases = {form: _with_digits(shape, digits) for form, digits in DIGITS.items()}
        engines = [_engine(form, case, plan.clock) for form, case in cases.items()]
        for engine in engines:
            verdict = engine.verdict()
            if verdict.startswith("WRONG"):
                record.wrong.append(f"{shape.name}: {engine.name} is {verdict}")
        samples = interleave([*engines, *([bound.engine] if bound else [])], plan)
        found[shape.name] = samples
        rows += [_row(shape, form, samples, bound) for form in cases]
    notes = ["passes: the time over that of one pass of fused multiply-adds from registers"]
    record.add("First layers, batch 1, 1 thread", rows, left=("layer", "weights"), notes=notes, samples=found)


def _with_digits(shape: First, digits: int) -> First:
    return First(shape.name, shape.size, shape.inputs, shape.outputs, shape.kernel, shape.stride, digits)


def _fused(found: list[Limit]) -> Limit | None:
    """The widest fused multiply-add that this CPU has."""
    by_kind = {limit.kind: limit for limit in found}
    return by_kind.get("fp32", by_kind.get("fp32_avx2"))


def _engine(form: str, case: First, clock: Callable[[], float]) -> Engine:
    short, long = (build(case.program(copies), case.tensors) for copies in (0, COPIES))
    spent = [0.0]

    def call() -> None:
        first = clock()
        short.run(case.image, 1)
        second = clock()
        long.run(case.image, 1)
        spent[0] = ((clock() - second) - (second - first)) / COPIES

    return Engine(form, call, lambda: spent[0], lambda: _deviation(case, long), WRONG)


def _deviation(case: First, engine: PackedEngine) -> float:
    """The share of bits that differ."""
    words = engine.step(2, {0: case.image}, 1)[BITS]
    octets = np.ascontiguousarray(words[:, :, :, 0]).astype("<u4").view(np.uint8)
    signs = np.unpackbits(octets, axis=-1, bitorder="little", count=case.outputs).transpose(0, 3, 1, 2)
    return float(((signs == 0) != case.truth).mean())


def _row(shape: First, form: str, samples: dict[str, Sample], bound: Limit | None) -> Row:
    own = samples[form]
    passes = None
    if bound is not None:
        of_pass = ratio(samples[bound.engine.name], own)
        passes = None if of_pass is None else of_pass * bound.macs / shape.macs
    return {
        "layer": shape.name,
        "weights": form,
        "µs": 1e6 * own.median,
        "GMAC/s": shape.macs / own.median / 1e9,
        "passes": passes,
        "goal": GOALS[form],
    }


def _value(kind: Any, size: tuple[int, int], channels: int) -> Value:
    code = {"code": {"values": (1,)}} if kind == "bits" else {}
    return Value.model_validate(
        {"type": kind, "height": size[0], "width": size[1], "channels": channels, **code}
    )
