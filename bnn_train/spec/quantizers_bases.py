"""Quantizers of several signs with real factors."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from bnn_train.spec.quantizer import Quantizer


class _Measured(Quantizer):
    """Signs of one number, each of what those before left over, with factors measured on what passes."""

    stat: Literal["ema", "batch"] = "ema"
    """Training measures each image. Elsewhere: `ema`, the moving average, alike for all images; `batch`,
    each image again, which no packed file can hold."""
    momentum: float = Field(default=0.99, ge=0, lt=1)
    """The weight of the past in the moving average."""
    signs: ClassVar[bool] = False
    scales_itself: ClassVar[bool] = True

    @property
    def averages(self) -> bool:
        """Whether evaluations take the moving average."""
        return self.stat == "ema"

    @property
    def by_window(self) -> bool:
        """Whether a convolution measures each of its windows by itself."""
        return False


class Greedy(_Measured):
    """Signs of the residual, each with the mean |residual| as its factor (greedy foldable, HORQ)."""

    name: Literal["greedy"] = "greedy"
    bases: int = Field(default=2, ge=1, le=8)
    stat: Literal["ema", "batch", "column"] = "ema"  # type: ignore[assignment]  # one more
    """`column`: each window of a convolution, each image of a dense layer, in training and elsewhere
    (HORQ)."""

    @property
    def by_window(self) -> bool:
        """Whether a convolution measures each of its windows by itself."""
        return self.stat == "column"


class LeastSquares(_Measured):
    """Two signs with the factors of the least squared error (LS-2)."""

    name: Literal["least_squares"] = "least_squares"
    skip: int = Field(default=1, ge=1)
    """The first factor is found among every so many numbers; the authors' code has 3."""


class LeastSquaresTernary(_Measured):
    """−2v, 0 or 2v, v of the least squared error (LS-T)."""

    name: Literal["least_squares_ternary"] = "least_squares_ternary"
    skip: int = Field(default=1, ge=1)
    """v is found among every so many numbers; the authors' code has 3."""


class ResidualSigns(Quantizer):
    """Signs of the residual with learned factors (ReBNet)."""

    name: Literal["residual_signs"] = "residual_signs"
    bases: int = Field(default=2, ge=1, le=8)
    scales_itself: ClassVar[bool] = True


class Levels(Quantizer):
    """The nearest of the 2^K sums ±v₁ ± … ± v_K, v of each filter learned by least squares (LQ-Nets)."""

    name: Literal["levels"] = "levels"
    bases: int = Field(default=2, ge=1, le=4)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """The weight of the past in the moving average of v."""
    scales_itself: ClassVar[bool] = True


class UnsignedLevels(Quantizer):
    """The nearest of the 2^K sums of a subset of v₁ … v_K, v learned by least squares (LQ-Nets)."""

    name: Literal["unsigned_levels"] = "unsigned_levels"
    bases: int = Field(default=2, ge=1, le=4)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """The weight of the past in the moving average of v."""
    range: ClassVar[str] = "unit"
    signs: ClassVar[bool] = False
    scales_itself: ClassVar[bool] = True

    @property
    def told(self) -> str:
        """Bits of one number."""
        return str(self.bases)
