"""Quantizers of evenly spaced, measured or learned levels."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from bnn_train.spec.quantizer import Quantizer
from bnn_train.spec.scalars import Positive


class TrainedTernary(Quantizer):
    """W_p, 0 or −W_n, two learned numbers of the layer (TTQ)."""

    name: Literal["trained_ternary"] = "trained_ternary"
    threshold: float = Field(default=0.05, ge=0)
    """0 up to threshold · max |w|."""
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True
    scales_itself: ClassVar[bool] = True
    leads_back: ClassVar[bool] = True

    bits_told: ClassVar[str] = "T"


class SignedUniform(Quantizer):
    """2^bits odd levels from −1 to 1, evenly spaced and without 0 (DoReFa-Net's weights)."""

    name: Literal["signed_uniform"] = "signed_uniform"
    bits: int = Field(default=2, ge=1, le=8)
    signs: ClassVar[bool] = False


class SymmetricUniform(Quantizer):
    """2^bits − 1 levels from −1 to 1, evenly spaced around 0; the sign with 1 bit (WRPN)."""

    name: Literal["symmetric_uniform"] = "symmetric_uniform"
    bits: int = Field(default=2, ge=1, le=8)
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True


class HalfWave(Quantizer):
    """0 up to 0, else the nearest of 2^bits − 1 multiples of a step (HWGQ)."""

    name: Literal["half_wave"] = "half_wave"
    bits: int = Field(default=2, ge=1, le=4)
    step: Positive = 0.538
    """The best for the positive half of N(0, 1) in 2 bits, as the authors' networks have it."""
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True
    range: ClassVar[str] = "positive"
    wants_plain_norm: ClassVar[bool] = True


class MeasuredPair(Quantizer):
    """mean(w) ± deviation(w), whichever is nearer (AdaBin's weights)."""

    name: Literal["measured_pair"] = "measured_pair"
    centres_itself: ClassVar[bool] = True
    signs: ClassVar[bool] = False
    scales_itself: ClassVar[bool] = True
    leads_back: ClassVar[bool] = True

    bits_told: ClassVar[str] = "1"


class LearnedPair(Quantizer):
    """Two values, whose centre and distance are learned (AdaBin's activations)."""

    name: Literal["learned_pair"] = "learned_pair"
    center: Literal["paper", "code"] = "code"
    """The values around the threshold β: β ± α in the paper, α·(β ± 1) in the authors' code."""
    signs: ClassVar[bool] = False
    scales_itself: ClassVar[bool] = True

    @property
    def at_threshold(self) -> bool:
        """Whether the threshold lies halfway between the values."""
        return self.center == "paper"

    bits_told: ClassVar[str] = "1"


class SoftSteps(Quantizer):
    """2^bits even steps between learned ends, whose gradient is that of a staircase of tanh (DSQ)."""

    name: Literal["soft_steps"] = "soft_steps"
    bits: int = Field(default=1, ge=1, le=3)
    softness: float = Field(default=0.2, gt=0, le=0.5)
    """α at the beginning, a learned number in (0, ½]: steps become sharp as it goes to 0."""
    signs: ClassVar[bool] = False
    scales_itself: ClassVar[bool] = True
    leads_back: ClassVar[bool] = True

    @property
    def told(self) -> str:
        """Bits of one number."""
        return str(self.bits)
