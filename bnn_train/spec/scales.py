"""The factors of quantized weights, and of a layer's output, by name; ``binary/scales`` and
``binary/output_scales`` have the objects."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from bnn_train.spec.record import Record
from bnn_train.spec.scalars import named


class _Scale(Record):
    scales: ClassVar[bool] = True
    learns: ClassVar[bool] = False
    mean_magnitude: ClassVar[bool] = False
    """It is mean |w|, whose derivative the weight gradients `exact` and `official` have."""
    spreads: ClassVar[bool] = False
    """It fits codes that are far apart."""
    skips_zeros: ClassVar[bool] = False
    """It averages over the weights that are not quantized to 0."""


class NoScale(_Scale):
    """Codes are weights as they are."""

    name: Literal["none"] = "none"
    scales: ClassVar[bool] = False


class L1(_Scale):
    """mean |w| (XNOR-Net)."""

    name: Literal["l1"] = "l1"
    mean_magnitude: ClassVar[bool] = True


class L1Masked(_Scale):
    """mean |w| over the weights that are not quantized to 0 (TWN)."""

    name: Literal["l1_masked"] = "l1_masked"
    skips_zeros: ClassVar[bool] = True


class Pow2(_Scale):
    """mean |w| rounded to a power of two, so that it is a shift (IR-Net)."""

    name: Literal["pow2"] = "pow2"


class Learned(_Scale):
    """A parameter of its own that starts at mean |w| (the ablation of XNOR-Net's table 3)."""

    name: Literal["learned"] = "learned"
    learns: ClassVar[bool] = True


class MaxPow2(_Scale):
    """The largest weight, rounded to a power of two, over the largest code (INQ)."""

    name: Literal["max_pow2"] = "max_pow2"
    spreads: ClassVar[bool] = True


WeightScale = Annotated[
    Annotated[NoScale | L1 | L1Masked | Pow2 | Learned | MaxPow2, Field(discriminator="name")],
    BeforeValidator(named),
]


class _OutputScale(Record):
    needs_signs: ClassVar[bool] = False
    """Its formula is that of inputs whose codes are their signs."""
    pads_zeros: ClassVar[bool] = False
    """It averages over maps with zeros around them."""


class Unscaled(_OutputScale):
    """The product as it is."""

    name: Literal["none"] = "none"


class XnorK(_OutputScale):
    """K, the box-filtered mean |input| (XNOR-Net §3.2)."""

    name: Literal["xnor_k"] = "xnor_k"
    needs_signs: ClassVar[bool] = True
    pads_zeros: ClassVar[bool] = True


OutputScale = Annotated[Annotated[Unscaled | XnorK, Field(discriminator="name")], BeforeValidator(named)]
