"""The quantizer as an object: codes with their gradient, the factors behind them, and what a file may
store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bnn_train.binary.estimators import Estimator
from bnn_train.binary.placed import Placed
from bnn_train.binary.tables import Table
from bnn_train.packed.bits import code_numbers
from bnn_train.packed.program import Code
from bnn_train.spec import quantizers as spec

SIGN = Code()
Dims = tuple[int, ...]
Factors = Tensor | float


def is_one(factors: Factors) -> bool:
    """Whether there is nothing to multiply with; a tensor may hold 1, and is multiplied with."""
    return isinstance(factors, float) and factors == 1


@dataclass(frozen=True)
class Codes:
    """A quantized tensor in whole numbers: x̂ = Σ_b factors[b]·numbers[b] over its bases."""

    numbers: Tensor
    """Whole numbers in the shape of x, after one axis for the bases if there are any."""
    factors: Tensor | float | None
    """Their factors, of a shape that spreads over ``numbers``; None: 1."""
    code: Code
    """How the file writes the numbers of each basis as signs."""
    bases: int = 0
    """How many there are; 0: one code without an axis for bases."""

    @property
    def value(self) -> Tensor:
        """x̂, in the shape of x."""
        scaled = self.numbers if self.factors is None else self.numbers * self.factors
        return scaled.sum(dim=0) if self.bases else scaled

    def planes(self) -> tuple[Tensor, list[Tensor | float], Tensor | float]:
        """Signs s_p (P × shape), factors v_p and the offset c₀ with x̂ = c₀ + Σ_p v_p·s_p."""
        factor: Any = 1.0 if self.factors is None else self.factors
        if self.bases:
            return self.numbers, list(factor), 0.0
        values = torch.as_tensor(code_numbers(self.code), dtype=self.numbers.dtype)
        places = torch.searchsorted(values, self.numbers.contiguous())
        digits = [(places >> p) & 1 for p in range(len(self.code.values))]
        signs = torch.stack([2.0 * digit - 1 for digit in digits])
        shares = [factor * value / self.code.denominator for value in self.code.values]
        return signs, shares, factor * self.code.offset / self.code.denominator


class Quantizer(Placed, ABC):
    """Real numbers → whole-number codes, for weights and activations alike.

    Subclasses give ``codes``, and ``code`` where they are no signs; those whose gradient is not an
    estimator's override ``coded`` and ``around``."""

    bases = 0
    """How many signs a number becomes, each with a threshold and a real factor of its own; 0: one
    whole-number code."""
    code: Code = SIGN
    """How a packed file writes its codes."""
    refusal = ""
    """Why a packed file cannot hold its codes, a clause that follows the layer's name; empty where it can."""

    def __init__(self, spec: spec.Quantizer) -> None:
        super().__init__()
        self.spec = spec

    @property
    def signs(self) -> bool:
        """Whether every code is −1 or +1."""
        return self.code == SIGN

    @abstractmethod
    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        """Codes in the shape of ``x``, after an axis of bases if there are any.

        ``dims``: the axes over which one threshold reaches. ``drawn``: at random where the quantizer draws,
        and as in training where it has other numbers there.
        """

    def unit(self, span: Factors) -> Factors:
        """The value of one unit of a code, for inputs from 0 to ``span`` where the range has an end."""
        return 1.0

    def border(self, span: Factors) -> Factors:
        """The value of a padded tap whose code is 1, in every basis if there are any."""
        return self.unit(span)

    def factors(self, x: Tensor, codes: Tensor, dims: Dims) -> Tensor | None:
        """Factors that a quantizer of several bases finds for weights, P×O×1×… or P×1×1×…"""
        return None

    def initialise(self) -> None:
        """Set what is learned to where training starts."""

    def adopt(self, weight: Tensor) -> None:
        """Make room for what is remembered of each number of a weight."""

    def start(self, u: Tensor) -> None:
        """Set what is remembered to what suits the prepared weight as it is."""

    def coded(self, x: Tensor, estimator: Estimator, *, drawn: bool, span: Factors) -> tuple[Tensor, Factors]:
        """Codes and their factor; the codes' gradient is that with respect to x̂, through the estimator."""
        result: Tensor = _StraightThrough.apply(x, self, estimator, drawn, 1.0, span)  # type: ignore[no-untyped-call]  # in torch
        return result, self.unit(span)

    def value(self, x: Tensor, estimator: Estimator, *, drawn: bool, span: Factors) -> Tensor:
        """x̂, in the shape of ``x``."""
        result: Tensor = _StraightThrough.apply(x, self, estimator, drawn, self.unit(span), span)  # type: ignore[no-untyped-call]  # in torch
        return result

    def around(
        self, start: Tensor, u0: Tensor, estimator: Estimator, prepared: Callable[[Tensor], Tensor]
    ) -> Callable[[Tensor], Tensor]:
        """The function of x near a point that has the value ``start`` there, and the gradient of training for
        its true derivative. ``prepared``: x → the quantizer's input, ``u0`` at the point."""
        return lambda x: start + estimator.piece(prepared(x), u0)


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        quantizer: Quantizer,
        estimator: Estimator,
        drawn: bool,
        unit: Factors,
        span: Factors,
    ) -> Tensor:
        ctx.save_for_backward(x)
        ctx.estimator = estimator
        codes = quantizer.codes(x if isinstance(span, float) else x / span, (), drawn=drawn)
        return codes if is_one(unit) else codes.mul_(unit)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        return ctx.estimator.slope(grads[0], *ctx.saved_tensors), None, None, None, None, None


QUANTIZERS: Table[Quantizer] = Table()
