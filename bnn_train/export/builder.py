"""The growing program: values, steps and tensors, and what each value is in the torch network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bnn_train.export.graph import Key, Op, Shape
from bnn_train.packed.program import Code, Planes, Program, Step, Value


@dataclass(frozen=True)
class Meaning:
    """A packed value in terms of the torch network.

    The value of ``op``, through the operations ``then`` without their poolings, and quantized (``key``); or
    the input scale K that the product ``scales`` takes from it.
    """

    op: Op
    then: tuple[Op, ...] = ()
    key: Key | None = None
    scales: Op | None = None


@dataclass
class Builder:
    """The values, steps and tensors so far."""

    values: list[Value] = field(default_factory=list)
    meanings: list[Meaning] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    sources: list[Op] = field(default_factory=list)
    """For each step the operation whose rounding errors it may differ by: a product, a pooling."""
    tensors: dict[str, NDArray[Any]] = field(default_factory=dict)

    def value(
        self,
        kind: Literal["u8", "f32", "bits"],
        shape: Shape,
        meaning: Meaning,
        code: Code | Planes | None = None,
    ) -> int:
        """A new value of C×H×W; its index."""
        channels, height, width = shape
        self.values.append(Value(type=kind, height=height, width=width, channels=channels, code=code))
        self.meanings.append(meaning)
        return len(self.values) - 1

    def tensor(self, name: str, array: NDArray[Any]) -> str:
        """Store an array; its name."""
        self.tensors[name] = np.ascontiguousarray(array)
        return name

    def optional(self, name: str, array: NDArray[Any] | None) -> str | None:
        """Store an array if there is one."""
        return None if array is None else self.tensor(name, array)

    def step(self, step: Step, source: Op) -> None:
        """Append a step."""
        self.steps.append(step)
        self.sources.append(source)

    def program(self, output: int) -> Program:
        """The finished program."""
        return Program(values=tuple(self.values), steps=tuple(self.steps), output=output)
