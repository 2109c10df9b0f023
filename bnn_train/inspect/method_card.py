"""Bits, planes and formulas of a row of the table of methods, asked of the objects that it builds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from bnn_train.binary.estimators import ESTIMATORS
from bnn_train.binary.gradients import GRADIENTS
from bnn_train.binary.output_scales import OUTPUT_SCALES
from bnn_train.binary.pre import PRES
from bnn_train.binary.quantizers import QUANTIZERS, Quantizer, quantizer
from bnn_train.binary.scales import SCALES
from bnn_train.binary.tables import Table
from bnn_train.spec.family import word
from bnn_train.spec.method import ActivationSpec, Method, WeightSpec

REAL = "32"


@dataclass(frozen=True)
class Formula:
    """An axis of a row, its value there, and what the object's docstring says of it."""

    axis: str
    value: str
    text: str


def _made(side: WeightSpec | ActivationSpec) -> Quantizer | None:
    return quantizer(side.quantizer) if side.quantizer.quantizes else None


def bits(side: WeightSpec | ActivationSpec) -> str:
    """Bits of a quantized number: 32 for real ones, T for ternary ones."""
    made = _made(side)
    return REAL if made is None else made.bits


def planes(side: WeightSpec | ActivationSpec) -> str:
    """Signs that a packed number takes, `+1` for one that is an offset; `real` for none, empty where no file
    can hold it."""
    made = _made(side)
    if made is None:
        return "real"
    return "" if made.refusal else made.planes_told


def packs(method: Method) -> str:
    """Products of signs that stand for one of the method's, weights × activations; a dash where none can."""
    own, other = planes(method.weight), planes(method.activation)
    packed = own and other and (own, other) != ("real", "real") and not _scale_refuses(method)
    return f"{own}×{other}" if packed else "–"


def _scale_refuses(method: Method) -> bool:
    """Whether a file can't hold what multiplies the outputs; factors of places are made for a map."""
    scale = OUTPUT_SCALES.build(method.output_scale)
    scale.scaled(torch.ones(1, 1, 2, 2))
    return bool(scale.refusal)


def formulas(method: Method) -> Iterator[Formula]:
    """The objects of a row, in the order in which a number meets them."""
    weight, activation = method.weight, method.activation
    if weight.quantizer.quantizes:
        yield from _of(PRES, "weight.pre", weight.pre)
        yield from _of(QUANTIZERS, "weight.quantizer", weight.quantizer)
        yield from _of(SCALES, "weight.scale", weight.scale)
        yield Formula("weight.gradient", weight.gradient, _text(type(GRADIENTS[weight.gradient])))
        if not weight.passes_gradient:
            yield from _of(ESTIMATORS, "weight.estimator", weight.estimator)
    if activation.quantizer.quantizes:
        yield from _of(PRES, "activation.pre", activation.pre)
        yield from _of(QUANTIZERS, "activation.quantizer", activation.quantizer)
        yield from _of(ESTIMATORS, "activation.estimator", activation.estimator)
    yield from _of(OUTPUT_SCALES, "output_scale", method.output_scale)


def _of(table: Table[Any], axis: str, options: Any) -> Iterator[Formula]:
    if options.name != "none":
        yield Formula(axis, word(options), _text(table.built_from(type(options))))


def _text(cls: Callable[..., Any]) -> str:
    return " ".join((inspect.getdoc(cls) or "").split())
