"""A packed program as a graph, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.export.targets.graph import windows
from bnn_train.export.targets.graph.epilogues import epilogue
from bnn_train.export.targets.graph.graph import Graph
from bnn_train.export.targets.graph.products import Sum, Window, product
from bnn_train.export.targets.graph.thresholds import Rule, Sign, compared, quantized
from bnn_train.export.targets.graph.weights import Filters, Signs, StoredSigns
from bnn_train.packed.operands import SIGN
from bnn_train.packed.program import (
    Channels,
    Concat,
    Conv,
    EpilogueStep,
    InputScale,
    Map,
    Mean,
    Pool,
    Program,
    Step,
    Subsample,
)
from bnn_train.packed.shapes import border_classes

Array = NDArray[Any]


@dataclass
class Walk:
    """The way through a program. ``values``: the tensors of each value so far; one, or one for each plane
    with a factor."""

    g: Graph
    program: Program
    tensors: Mapping[str, Array]
    signs: Signs = field(default_factory=StoredSigns)
    sign: Sign = compared
    values: dict[int, list[str]] = field(default_factory=dict)

    def run(self, first: str) -> str:
        """All steps, from the name of value 0 to that of the logits N×classes×1×1."""
        self.values[0] = [first]
        for i, step in enumerate(self.program.steps):
            self.g.layer = f"{i}.{step.layer}"
            self.values.update(self._step(step))
        return self.values[self.program.output][0]

    def _step(self, step: Step) -> dict[int, list[str]]:
        if isinstance(step, Conv):
            return self._conv(step)
        x = self.values[step.input]
        if isinstance(step, Map):
            source = self.program.values[step.input]
            classes = np.zeros((source.height, source.width), np.int64)
            return self._results(Sum(x[0], np.float32, False), step, classes, 1)
        return {step.output: self._plain(step, x)}

    def _plain(
        self, step: Pool | InputScale | Subsample | Mean | Concat | Channels, x: list[str]
    ) -> list[str]:
        g, source, result = self.g, self.program.values[step.input], self.program.values[step.output]
        match step:
            case Pool(kind="average"):
                return [windows.average(g, x[0], step, source, result)]
            case Pool():
                flip = None if step.flip is None else self.tensors[step.flip]
                return [windows.largest(g, plane, step, source, result, flip) for plane in x]
            case InputScale():
                return [windows.input_scale(g, x[0], step, source, result)]
            case Subsample():
                return [windows.subsample(g, x[0], step, source, result)]
            case Mean():
                return [windows.mean(g, x[0], step)]
            case Concat():
                return [g.op("Concat", x[0], self.values[step.second][0], axis=1)]
            case Channels():
                return [g.slice(x[0], [1], [step.start], [step.start + result.channels])]

    def _conv(self, step: Conv) -> dict[int, list[str]]:
        source = self.program.values[step.input]
        inner = source.channels // step.geometry.groups
        filters = Filters(step.weight, self.tensors, step.geometry, inner, self.signs)
        found = product(self.g, self.values[step.input], Window(step, source), filters)
        rows, columns, _, count = border_classes(step.geometry, source.height, source.width)
        return self._results(found, step, rows[:, None] * count + columns[None, :], step.geometry.groups)

    def _results(self, y: Sum, step: Conv | Map, classes: Array, groups: int) -> dict[int, list[str]]:
        """The step's values: real, bits, or both; whole thresholds see the product itself."""
        found: dict[int, list[str]] = {}
        exact = step.thresholds is not None and self.tensors[step.thresholds.tensor].dtype == np.int32
        real = ""
        if step.output is not None or not exact:
            written = step.output if step.output is not None else step.bits
            outputs = self.program.values[written or 0].channels
            start = self._single(y, step)
            real = epilogue(
                self.g, start, step.epilogue, self.tensors, self.values, classes, (groups, outputs)
            )
        if step.output is not None:
            found[step.output] = [real]
        if step.bits is not None and step.thresholds is not None:
            rule = Rule(step.thresholds, self.program.values[step.bits].code or SIGN, self.sign)
            name, dtype = (y.name, y.dtype) if exact else (real, np.float32)
            found[step.bits] = quantized(self.g, name, dtype, rule, self.tensors)
        return found

    def _single(self, y: Sum, step: EpilogueStep) -> str:
        """The product as float32, safe from fusion with what follows."""
        if y.dtype != np.float32:
            return self.g.cast(y.name, np.float32)
        return self.g.settled(y.name) if isinstance(step, Conv) else y.name
