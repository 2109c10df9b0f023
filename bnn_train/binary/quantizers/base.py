"""The quantizer as an object: codes with their gradient, the factors behind them, and what a file may
store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bnn_train.binary.estimators import Estimator
from bnn_train.binary.placed import Placed
from bnn_train.binary.solving import Problem
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


def over_inputs(factors: Tensor, codes: Tensor) -> Tensor:
    """Factors of bases, Q or one for each image Q×N×1×…, laid out to multiply codes Q×N×…"""
    return factors.view(-1, *[1] * (codes.dim() - 1)) if factors.dim() == 1 else factors


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
        # made where the numbers are: a CPU tensor meets those of a GPU in an error
        values = torch.as_tensor(
            code_numbers(self.code), dtype=self.numbers.dtype, device=self.numbers.device
        )
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
    digits = False
    """Whether the signs of its bases are the binary digits, lowest first, of the number of a level: monotone
    together, each by itself not."""
    by_window = False
    """Whether a convolution hands it each window by itself."""
    held = False
    """Whether it stays as it is, and learns nothing from what passes in training."""
    leads_back = False
    """As a weight quantizer: it states ŵ as a function with a derivative (``near``), and no rule of
    ``gradients`` leads the gradient back."""
    refusal = ""
    """Why a packed file cannot hold its codes, a clause that follows the layer's name; empty where it can."""

    def __init__(self, spec: spec.Quantizer) -> None:
        super().__init__()
        self.spec = spec

    @property
    def signs(self) -> bool:
        """Whether every code is −1 or +1."""
        return self.code == SIGN

    @property
    def whole(self) -> bool:
        """Whether its codes are whole numbers in this pass, so that sums of them may be rounded to such."""
        return True

    @property
    def bits(self) -> str:
        """Bits of one number, as tables tell it: `T` for three levels."""
        if self.spec.told:
            return self.spec.told
        if self.bases:
            return str(self.bases)
        levels = len(set(code_numbers(self.code)))
        return "T" if levels == 3 else str((levels - 1).bit_length())

    @property
    def planes_told(self) -> str:
        """Signs that a packed number takes, and `+1` where one more of them is an offset."""
        count = self.bases or len(self.code.values)
        return f"({count}+1)" if self.code.offset else str(count)

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

    def initialise(self, x: Tensor | None = None) -> None:
        """Set what is learned to where training starts. ``x``: the prepared weight, if it quantizes one."""

    def near(self, u0: Tensor, dims: Dims, estimator: Estimator) -> Callable[[Tensor], Tensor]:
        """ŵ as a function of a prepared weight near ``u0``, and of the numbers that are learned: its value at
        u₀ is the quantized weight, its true derivative the gradient of training. For those that lead back
        themselves."""
        raise TypeError(f"{type(self).__name__} has its gradient from a rule")

    def begin(self, w: Tensor) -> None:
        """Set what is kept for a weight to what suits it; on a new layer, and when other weights come in."""

    def solve(self, problem: Problem) -> Tensor:
        """The latent weight whose quantized one responds as the problem asks; the real one where nothing is
        solved for."""
        return problem.weight

    def settle(self, quantizers: Sequence[Quantizer]) -> Sequence[float] | None:
        """Share out among all layers' quantizers, of which this is the first, what their network may cost;
        the error that each layer is left with. None: there is nothing to share."""
        return None

    def store(self, w: Tensor) -> None:
        """Hold the rule for the latent weight itself, in place; at the beginning and after each step."""

    def bytes_of(self, weight: Tensor) -> int | None:
        """Bytes of a stored weight; None: those of its planes of signs and its factors."""
        return None

    def preimage(self, codes: Tensor) -> tuple[Tensor, Tensor] | None:
        """The bounds of the inputs that have these codes; None where nobody needs them."""
        return None

    def attach(self, weight: Tensor, dims: Dims) -> None:
        """Make room for what it keeps about such a weight; ``dims``: the axes that share it."""

    def stand(self, index: int) -> None:
        """Say that the weight is number ``index``, from 0, in the network's order."""

    def gate(self, channels: int, like: Tensor) -> None:
        """Make a gate for each channel of an input that nothing else reads, of the type of ``like``."""

    @property
    def gates(self) -> Tensor | None:
        """The gates of the channels."""
        return None

    @property
    def open(self) -> Tensor | None:
        """Whether each channel's gate is open; None without gates."""
        return None

    def drop_gates(self) -> None:
        """Let all channels through from now on."""

    def observe(self, x: Tensor, dims: Dims) -> None:
        """Learn from a weight after a training pass has read it."""

    def coded(self, x: Tensor, estimator: Estimator, *, drawn: bool, span: Factors) -> tuple[Tensor, Factors]:
        """Codes and their factor; the codes' gradient is that with respect to x̂, through the estimator."""
        result: Tensor = _StraightThrough.apply(x, self, estimator, drawn, 1.0, span)  # type: ignore[no-untyped-call]  # in torch
        return result, self.unit(span)

    def windowed(
        self, x: Tensor, inside: Tensor | None, estimator: Estimator, *, drawn: bool
    ) -> tuple[Tensor, Factors]:
        """``coded`` for windows N×I×Kh×Kw, where ``by_window``; ``inside``: 0 on their padded taps."""
        raise NotImplementedError

    def around_windows(
        self,
        u0: Tensor,
        inside: Tensor | None,
        estimator: Estimator,
        prepared: Callable[[Tensor], Tensor],
    ) -> Callable[[Tensor], Tensor]:
        """``around`` for windows, where ``by_window``."""
        raise NotImplementedError

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


def through(codes: Tensor, u: Tensor, estimator: Estimator) -> Tensor:
    """``codes``, whose gradient goes on to ``u`` through the estimator."""
    result: Tensor = _Through.apply(codes, u, estimator)  # type: ignore[no-untyped-call]  # in torch
    return result


def instead(value: Tensor, of: Tensor) -> Tensor:
    """``value``, whose gradient is that of another tensor of its shape: what stands for it in the graph."""
    result: Tensor = _Instead.apply(value, of)  # type: ignore[no-untyped-call]  # in torch
    return result


class _Through(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, codes: Tensor, u: Tensor, estimator: Estimator) -> Tensor:
        ctx.save_for_backward(u)
        ctx.estimator = estimator
        return codes.view_as(codes)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor, None]:
        return None, ctx.estimator.slope(grads[0], *ctx.saved_tensors), None


class _Instead(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, of: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor]:
        return None, grads[0]


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


def hold(model: nn.Module) -> None:
    """Let no quantizer learn from what passes, so that equal inputs give equal results."""
    for module in model.modules():
        if isinstance(module, Quantizer):
            module.held = True
