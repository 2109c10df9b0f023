"""Dense layers on one image, whose weights come from memory, each read once: against a read of as many
bytes by PyTorch's sum.

A program holds enough copies of the layer, each with weights of its own, that no cache keeps them from one
call to the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.record import Record
from bench.table import Row
from bench.timing import Engine, Plan, interleave, ratio
from bnn_train.packed.kernels import build
from bnn_train.packed.program import (
    BitWeight,
    Code,
    Conv,
    Geometry,
    Map,
    Program,
    RealWeight,
    Step,
    Thresholds,
    Value,
    Weight,
)

FAR = 2**27
"""Bytes of all copies together: four times the largest cache of most machines."""
GOALS = {"f32": 0.8, "bf16": 0.8, "bits": 0.8}
"""Of the speed of the read."""

Array = NDArray[Any]


@dataclass(frozen=True)
class Last:
    """A dense layer and the form of its weights: ``f32``, ``bf16`` or ``bits``, whose input are signs."""

    name: str
    inputs: int
    outputs: int
    form: str

    @property
    def bytes(self) -> int:
        """Of its weights."""
        return self.inputs * self.outputs * {"f32": 32, "bf16": 16, "bits": 1}[self.form] // 8

    @property
    def copies(self) -> int:
        """How many are far from any cache."""
        return -(-FAR // self.bytes)

    def program(self) -> tuple[Program, dict[str, Array]]:
        """Signs of the input, then the copies, side by side."""
        rng = np.random.default_rng(0)
        values = [_value("f32", self.inputs), _value("bits", self.inputs)]
        steps: list[Step] = [Map(layer="signs", input=0, bits=1, thresholds=Thresholds(tensor="zero"))]
        tensors: dict[str, Array] = {"zero": np.zeros((1, self.inputs), np.float32)}
        for i in range(self.copies):
            tensors[f"w{i}"] = self._weights(rng)
            values.append(_value("f32", self.outputs))
            steps.append(
                Conv(
                    layer=f"dense{i}",
                    input=1 if self.form == "bits" else 0,
                    output=len(values) - 1,
                    weight=self._weight(f"w{i}"),
                    geometry=Geometry(kernel=(1, 1)),
                )
            )
        return Program(values=tuple(values), steps=tuple(steps), output=len(values) - 1), tensors

    def _weight(self, tensor: str) -> Weight:
        return BitWeight(tensor=tensor) if self.form == "bits" else RealWeight(kind=self.form, tensor=tensor)  # type: ignore[arg-type]

    def _weights(self, rng: np.random.Generator) -> Array:
        if self.form == "bits":
            return rng.integers(0, 256, (1, self.outputs, self.inputs // 8), dtype=np.uint8)
        real = rng.standard_normal((self.outputs, 1, 1, self.inputs), np.float32)
        return real if self.form == "f32" else (real.view(np.uint32) >> 16).astype(np.uint16)

    def truth(self, x: Array, stored: Array) -> Array:
        """The product in float64."""
        if self.form == "bits":
            signs = 1.0 - 2.0 * np.unpackbits(stored[0], axis=1, bitorder="little")
            return np.asarray(signs @ np.where(x < 0, -1.0, 1.0))
        weight = stored if self.form == "f32" else (stored.astype(np.uint32) << 16).view(np.float32)
        return np.asarray(weight.reshape(self.outputs, -1).astype(np.float64) @ x)


LAYERS = (
    Last("AlexNet's fc8, 4096 → 1000", 4096, 1000, "f32"),
    Last("AlexNet's fc8, 4096 → 1000", 4096, 1000, "bf16"),
    Last("ResNet-18's, 512 → 1000", 512, 1000, "f32"),
    Last("AlexNet's fc6, 9216 → 4096", 9216, 4096, "bits"),
    Last("AlexNet's fc7, 4096 → 4096", 4096, 4096, "bits"),
)


def measure(record: Record, plan: Plan, *, quick: bool) -> None:
    """A row for each layer."""
    rows: list[Row] = []
    far = torch.ones(FAR // 4)
    for layer in LAYERS[-1:] if quick else LAYERS:
        ours = _engine(layer)
        if ours.verdict().startswith("WRONG"):
            record.wrong.append(f"{layer.name}, {layer.form}: {ours.verdict()}")
        samples = interleave([ours, Engine("read", far.sum)], plan)
        own = samples["ours"]
        share = ratio(samples["read"], own)
        total = layer.bytes * layer.copies
        rows.append(
            {
                "layer": layer.name,
                "weights": layer.form,
                "µs": 1e6 * own.median / layer.copies,
                "GB/s": total / own.median / 1e9,
                "of a read": None if share is None else share * total / FAR,
                "goal": GOALS[layer.form],
            }
        )
    record.add("Dense layers on one image, 1 thread", rows, left=("layer", "weights"))


def _engine(layer: Last) -> Engine:
    program, tensors = layer.program()
    engine = build(program, tensors)
    x = np.random.default_rng(1).standard_normal((1, 1, 1, layer.inputs), np.float32)
    truth = layer.truth(x.reshape(-1), tensors[f"w{layer.copies - 1}"])

    def deviation() -> float:
        return float(np.abs(engine.run(x, 1)[0] - truth).max() / np.abs(truth).max())

    return Engine("ours", lambda: engine.run(x, 1), deviation=deviation, tolerance=1e-5)


def _value(kind: Any, channels: int) -> Value:
    code = {"code": Code()} if kind == "bits" else {}
    return Value.model_validate({"type": kind, "height": 1, "width": 1, "channels": channels, **code})
