"""Bytes of each layer: what the plan says a layer must take, and what the file holds for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from bnn_train.export.bends import bend_of, falls
from bnn_train.export.first import border_classes_of
from bnn_train.export.graph import ELEMENTWISE, Op, binary, key_of, scales_input
from bnn_train.export.lower import Lowering
from bnn_train.export.numbers import bias_of, input_factors, product_scale, weight_factors
from bnn_train.export.options import DIGITS
from bnn_train.export.plan import Plan, Quantization, emits, segment
from bnn_train.export.weights import code_of_weight, is_whole, quantized_weight

WORD = 4
"""Bytes of a float32 and an int32."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """One layer's bytes."""

    layer: str
    predicted: int
    stored: int
    form: str = ""
    """How its weights are stored."""


def sizes(lowered: Lowering) -> list[Size]:
    """A row for every layer that stores anything, in the network's order."""
    predicted = _Prediction(lowered).rows()
    stored = _stored(lowered.tensors)
    forms = {op.layer: _form(op, lowered) for op in lowered.traced.graph.ops if op.kind == "product"}
    names = [*dict.fromkeys([*predicted, *stored])]
    return [
        Size(layer=n, predicted=predicted.get(n, 0), stored=stored.get(n, 0), form=forms.get(n, ""))
        for n in names
    ]


def _stored(tensors: Mapping[str, NDArray[Any]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, tensor in tensors.items():
        layer = name.rpartition(".")[0].removesuffix(".input")
        found[layer] = found.get(layer, 0) + tensor.nbytes
    return found


def _reads_pixels(op: Op, lowered: Lowering) -> bool:
    return op.inputs[0] is lowered.traced.graph.image and not lowered.preprocess


def _form(op: Op, lowered: Lowering) -> str:
    layer, codes = binary(op), quantized_weight(op)
    if codes is not None and layer is not None:
        return f"{code_of_weight(layer).planes} bit"
    if _reads_pixels(op, lowered):
        return lowered.options.first
    products = [other for other in lowered.traced.graph.ops if other.kind == "product"]
    return lowered.options.last if op is products[-1] else lowered.options.real


class _Prediction:
    """Bytes from sizes alone: no array of the program is looked at."""

    def __init__(self, lowered: Lowering) -> None:
        self.lowered = lowered
        self.plan: Plan = lowered.plan
        self.found: dict[str, int] = {}

    def rows(self) -> dict[str, int]:
        self._preprocessing()
        for op in self.lowered.traced.graph.ops:
            if op.kind == "product":
                self._add(op.layer, _weight_bytes(op, _form(op, self.lowered)))
        for op in self.plan.emitted:
            self._emitted(op)
        return self.found

    def _add(self, layer: str, count: int) -> None:
        self.found[layer] = self.found.get(layer, 0) + count

    def _preprocessing(self) -> None:
        for step in self.lowered.preprocess:
            for name in step.tensors.values():
                self._add(name.rpartition(".")[0], self.lowered.tensors[name].nbytes)

    def _emitted(self, op: Op) -> None:
        quantizations = self.plan.quantizations.get(op, [])
        for number, quantization in enumerate(quantizations):
            own = quantization.products[0].layer
            with_op = number == 0 and emits(op)
            self._add(_owner(op) if with_op else own, _threshold_bytes(op, quantization))
            for at, inner in enumerate(quantization.chain):
                if inner.kind == "maxpool" and falls(_elementwise(quantization.chain[at + 1 :])).any():
                    self._add(inner.layer, inner.channels)
        if emits(op):
            self._epilogue(op, bool(quantizations))

    def _epilogue(self, op: Op, quantized: bool) -> None:
        found = segment(op)
        if found.norm is not None:
            self._add(found.norm.layer, 2 * WORD * op.channels)
        bends = [op for op in (found.activation, found.stream) if op is not None and op.kind == "prelu"]
        for bend in bends:
            for name in bend_of(bend):
                self._add(f"{bend.layer}.{name}".rpartition(".")[0], WORD * op.channels)
        if found.folds and not (quantized and op not in self.plan.real and found.plain and _compares(op)):
            self._add(found.base.layer, _constant_bytes(found.base, self.lowered))


def _owner(op: Op) -> str:
    found = segment(op)
    return found.base.layer if found.folds else op.layer


def _compares(op: Op) -> bool:
    """Whether whole-number thresholds take the place of scale and bias."""
    return key_of(op) is not None and not scales_input(op) and is_whole(op)


def _elementwise(ops: tuple[Op, ...]) -> list[Op]:
    return [op for op in ops if op.kind in ELEMENTWISE]


def _threshold_bytes(op: Op, quantization: Quantization) -> int:
    levels = quantization.key.levels
    flips = int(falls(_elementwise(quantization.chain)).any())
    return op.channels * (WORD * levels + flips)


def _weight_bytes(op: Op, form: str) -> int:
    layer = binary(op)
    weight: Any = op.module.weight  # type: ignore[union-attr]  # a product's module has one
    filters, n = op.channels, int(weight[0].numel())  # a stored filter may make several
    if form.endswith("bit") and layer is not None:
        return code_of_weight(layer).planes * filters * -(-n // 8)
    each: dict[str, int] = {"f32": 4, "bf16": 2, **DIGITS}
    return filters * n * each[form]


def _constant_bytes(op: Op, lowered: Lowering) -> int:
    """Scale and bias of a product."""
    outputs, bias = WORD * op.channels, bias_of(op) is not None
    own = WORD * sum(0 if f is None else f.size for f in (weight_factors(op), input_factors(op)))
    if not _reads_pixels(op, lowered):
        scaled = _form(op, lowered) == "int8" or product_scale(op) is not None
        return int(outputs * (scaled + bias)) + own
    classes = border_classes_of(op) if lowered.shifts else int(bias)
    gains: int = WORD * op.inputs[0].channels if lowered.gains and _form(op, lowered).endswith("bit") else 0
    return outputs * (1 + classes) + gains
