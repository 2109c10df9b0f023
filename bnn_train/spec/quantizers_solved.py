"""Quantizers that solve for weights on images, and grids of few bits."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from bnn_train.spec.quantizer import Quantizer, Sign
from bnn_train.spec.scalars import Shared


class SolvedSign(Sign):
    """The sign, first solved for so that a layer's response changes least (BWNH)."""

    name: Literal["solved_sign"] = "solved_sign"  # type: ignore[assignment]  # narrows the tag
    sweeps: int = Field(default=10, ge=1)
    """Passes over all weights, at most."""

    @property
    def solves(self) -> bool:
        return True


class OptimalTernary(Quantizer):
    """+1, −1 or 0, so that α times it is as near as can be to the weight (TSQ)."""

    name: Literal["optimal_ternary"] = "optimal_ternary"
    solve: bool = False
    """Solve for it before the first step, so that the next layer's codes change least (TSQ's second step)."""
    sweeps: int = Field(default=10, ge=1)
    """Passes over all weights, at most."""
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True

    @property
    def solves(self) -> bool:
        return self.solve


class TernaryResidual(Quantizer):
    """A sum of ternary weights with factors, each that of what the ones before leave (Ternary Residual
    Networks)."""

    name: Literal["ternary_residual"] = "ternary_residual"
    terms: int = Field(default=3, ge=1, le=4)
    """At most, in a layer."""
    budget: float = Field(default=2.0, ge=1)
    """Terms for each weight, on average over the network; layers that suffer most get more."""
    block: int | None = Field(default=None, ge=1)
    """Weights of a filter that share factors; default: all of them."""
    scales_itself: ClassVar[bool] = True
    counts: ClassVar[bool] = True

    @property
    def solves(self) -> bool:
        return True


class SparseHalfWave(Quantizer):
    """0, δ, 2δ or 3δ; 0 up to a threshold θ (TSQ)."""

    name: Literal["sparse_half_wave"] = "sparse_half_wave"
    threshold: float = Field(default=0.32, gt=0)
    """θ; δ/2 or so is best."""
    step: float = Field(default=0.6487, gt=0)
    """δ: the best for the positive half of N(0, 1)."""
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True
    range: ClassVar[str] = "positive"
    wants_plain_norm: ClassVar[bool] = True


class FixedPoint(Quantizer, Shared):
    """Fixed point with a shared exponent (training with low-precision multiplications)."""

    name: Literal["fixed_point"] = "fixed_point"
    update_bits: int = Field(default=11, ge=1, le=31)
    """As a weight quantizer: bits of the stored weight, without the sign."""
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True
    range: ClassVar[str] = "any"
    counts: ClassVar[bool] = True
    keeps_shape: ClassVar[bool] = True
    wants_float32: ClassVar[bool] = True

    @property
    def told(self) -> str:
        """Bits of one number."""
        return str(self.bits)


class CodeBook(Quantizer):
    """Pieces of a few input channels, each one of K words of its sub-space (Quantized CNN)."""

    name: Literal["codebook"] = "codebook"
    channels: int = Field(default=8, ge=1)
    """C′ of convolutions: numbers in a word."""
    words: int = Field(default=128, ge=2, le=256)
    """K of convolutions."""
    dense_channels: int = Field(default=4, ge=1)
    dense_words: int = Field(default=32, ge=2, le=256)
    sweeps: int = Field(default=2, ge=0)
    """Passes of error correction; 0: k-means alone."""
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True
    counts: ClassVar[bool] = True

    @property
    def solves(self) -> bool:
        return True

    bits_told: ClassVar[str] = "–"
