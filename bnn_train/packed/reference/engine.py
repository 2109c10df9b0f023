"""The engine that runs a program with the reference's steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.errors import BnnError
from bnn_train.packed.engine import last_reads
from bnn_train.packed.errors import PackedFileError
from bnn_train.packed.operands import SIGN, adds_in_order, term_code
from bnn_train.packed.program import (
    BitWeight,
    Channels,
    Code,
    Concat,
    Conv,
    Epilogue,
    EpilogueStep,
    InputScale,
    IntWeight,
    Map,
    Mean,
    Planes,
    Pool,
    Program,
    Step,
    Subsample,
)
from bnn_train.packed.reference import pooling, product
from bnn_train.packed.reference.bit_product import bit_product
from bnn_train.packed.reference.blocks import row_blocks
from bnn_train.packed.reference.epilogue import epilogue, threshold
from bnn_train.packed.reference.memory import image_bytes, weight_bytes
from bnn_train.packed.reference.plane_product import Operand, plane_product
from bnn_train.packed.reference.weights import codes, digits, reals
from bnn_train.packed.shapes import border_classes

Array = NDArray[Any]


class ReferenceEngine:
    """A program in numpy. The tensors are taken as they are: the file's reader has checked them."""

    name = "reference"

    def __init__(self, program: Program, tensors: Mapping[str, Array]) -> None:
        self.program = program
        self.tensors = tensors
        self.image_bytes = image_bytes(program)
        self._last = last_reads(program)

    def run(self, x: Array, threads: int) -> NDArray[np.float32]:
        """Value 0, N images, to logits N×classes. ``threads`` is left to numpy."""
        values = {0: x}
        for i in range(len(self.program.steps)):
            values.update(self.step(i, values, threads))
            values = {v: array for v, array in values.items() if self._last.get(v, -1) > i}
        return np.ascontiguousarray(values[self.program.output].reshape(len(x), -1))

    def step(self, i: int, inputs: Mapping[int, Array], threads: int) -> dict[int, Array]:
        """Step ``i`` alone, on given values."""
        with np.errstate(all="ignore"):
            found = self._step(self.program.steps[i], inputs)
        return {v: np.ascontiguousarray(array) for v, array in found.items()}

    def profile(self, x: Array, repeats: int) -> NDArray[np.float64]:
        """Raises BnnError: numpy's time says nothing of the network's."""
        raise BnnError("only the compiled kernels are timed step by step, not the numpy reference")

    def _step(self, step: Step, values: Mapping[int, Array]) -> dict[int, Array]:
        x = values[step.input]
        match step:
            case Conv():
                return self._results(
                    self._product(step, x), step, step.epilogue, values, self._classes(step, x)
                )
            case Map():
                return self._results(x, step, step.epilogue, values, np.zeros(x.shape[1:3], np.int64))
            case Pool():
                flip = None if step.flip is None else self.tensors[step.flip]
                return {step.output: pooling.pool(x, step, flip)}
            case InputScale():
                return {step.output: pooling.input_scale(x, step)}
            case Subsample():
                channels = self.program.values[step.output].channels
                return {step.output: pooling.subsample(x, step, channels)}
            case Mean():
                return {step.output: pooling.mean(x)}
            case Concat():
                return {step.output: np.concatenate([x, values[step.second]], axis=3)}
            case Channels():
                channels = self.program.values[step.output].channels
                return {step.output: x[..., step.start : step.start + channels]}

    def _classes(self, step: Conv, x: Array) -> Array:
        rows, columns, _, count = border_classes(step.geometry, *x.shape[1:3])
        return rows[:, None] * count + columns[None, :]

    def _product(self, step: Conv, x: Array) -> Array:
        """The sum over the window: int32 or int64 where exact, else float32."""
        source, weight = self.program.values[step.input], step.weight
        inner = source.channels // step.geometry.groups
        if source.code is not None and isinstance(weight, BitWeight):
            return self._bit_product(step, x, source.code, weight)
        if isinstance(weight, IntWeight):
            w = digits(weight, self.tensors)
            if adds_in_order(source, weight, len(self.tensors[weight.tensor])):
                return product.in_order(x, w, step.geometry)
            return (product.whole if source.type == "u8" else product.rounded)(x, w, step.geometry)
        if isinstance(weight, BitWeight) and isinstance(weight.code, Code) and source.type == "u8":
            w = codes(weight, weight.code, self.tensors, step.geometry, inner)
            return product.whole(x, w, step.geometry)
        return product.real(x, reals(weight, self.tensors, step.geometry, inner), step.geometry)

    def _bit_product(self, step: Conv, x: Array, code: Code | Planes, weight: BitWeight) -> Array:
        rows, channels = self.tensors[weight.tensor], self.program.values[step.input].channels
        if isinstance(code, Code) and isinstance(weight.code, Code):
            return bit_product(x, channels, code, rows, weight.code, step.geometry, step.pad)
        outer, inner = (
            None if name is None else self.tensors[name] for name in (weight.factors, step.input_factors)
        )
        a, w = Operand(x, term_code(code), inner), Operand(rows, term_code(weight.code), outer)
        return plane_product(a, channels, w, step.geometry, step.pad)

    def _results(
        self, y: Array, step: EpilogueStep, e: Epilogue, values: Mapping[int, Array], classes: Array
    ) -> dict[int, Array]:
        """The step's values: real, bits, or both; some rows at a time, so that passing arrays stay small."""
        found: dict[int, list[Array]] = {v: [] for v in (step.output, step.bits) if v is not None}
        used = [v for v in (e.input_scale, e.residual) if v is not None]
        for rows in row_blocks(y.shape):
            own = {v: values[v][:, rows] for v in used}
            if e.gate is not None:
                own[e.gate] = values[e.gate]  # of one pixel, for all rows
            for v, part in self._result_rows(y[:, rows], step, e, own, classes[rows]).items():
                found[v].append(part)
        return {v: np.concatenate(parts, axis=1) if parts[1:] else parts[0] for v, parts in found.items()}

    def _result_rows(
        self, y: Array, step: EpilogueStep, e: Epilogue, values: Mapping[int, Array], classes: Array
    ) -> dict[int, Array]:
        """Whole-number thresholds see the product itself."""
        found: dict[int, Array] = {}
        real = epilogue(y, e, self.tensors, values, classes)
        if step.output is not None:
            found[step.output] = real
        if step.bits is not None and step.thresholds is not None:
            exact = self.tensors[step.thresholds.tensor].dtype == np.int32
            code = self.program.values[step.bits].code or SIGN
            found[step.bits] = threshold(y if exact else real, step.thresholds, code, self.tensors)
        return found


def build(program: Program, tensors: Mapping[str, Array], memory_limit: int | None = None) -> ReferenceEngine:
    """The engine of a checked program. Raises PackedFileError where one image does not fit in the limit."""
    engine = ReferenceEngine(program, {name: np.asarray(t) for name, t in tensors.items()})
    needed = engine.image_bytes + weight_bytes(program)
    if memory_limit is not None and needed > memory_limit:
        raise PackedFileError(
            f"the reference takes {needed} bytes for one image; {max(0, memory_limit)} are left of the limit"
        )
    return engine
