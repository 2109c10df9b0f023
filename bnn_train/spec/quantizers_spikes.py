"""Quantizers of spikes, with a memory, or that harden late."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from bnn_train.spec.quantizer import Quantizer


class Heaviside(Quantizer):
    """1 from 0 on, else 0 (Eedn)."""

    name: Literal["heaviside"] = "heaviside"
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True
    fires: ClassVar[bool] = True


class Hysteresis(Quantizer):
    """+1, −1 or 0 for weights near them; between, what the weight was before (Eedn)."""

    name: Literal["hysteresis"] = "hysteresis"
    band: float = Field(default=0.1, ge=0, lt=0.5)
    """h: from ½ − h to ½ + h a weight keeps its code."""
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True
    softens: ClassVar[bool] = True
    remembers: ClassVar[bool] = True


class TernaryShare(Quantizer):
    """0 for a share of the weights, the smallest, and the sign of the others (Bitwise Neural Networks)."""

    name: Literal["ternary_share"] = "ternary_share"
    share: float = Field(default=0.25, ge=0, lt=1)
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True


class LateSign(Quantizer):
    """The number itself while training, its sign in evaluations and exports (Self-Binarizing Networks)."""

    name: Literal["late_sign"] = "late_sign"
    softens: ClassVar[bool] = True
    remark: ClassVar[str] = (
        "what late_sign quantizes is real while training, and evaluations take the signs: before the end,"
        " validation measures another network than the one that is trained"
    )


class RealTanh(Quantizer):
    """tanh, and no codes: activations of a first stage, before they are binarized (Real-to-Binary)."""

    name: Literal["real_tanh"] = "real_tanh"
    signs: ClassVar[bool] = False
    range: ClassVar[str] = "any"
