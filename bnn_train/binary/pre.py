"""Steps before the quantizer: centring, standardizing, shifting, clipping, each with its gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bnn_train.binary.learned import Learns
from bnn_train.binary.placed import Placed
from bnn_train.binary.tables import Table
from bnn_train.spec import pre as spec

Dims = tuple[int, ...]


class Pre(Placed, Learns):
    """The identity; subclasses do more."""

    identity = False
    channelwise = False
    """Whether it has a number for each input channel."""

    def __init__(self, spec: object, channels: int = 0) -> None:
        """``channels``: of the input, for what has a number for each."""
        super().__init__()
        self.spec = spec

    def prepare(self, x: Tensor, dims: Dims) -> Tensor:
        """The quantizer's input. ``dims``: the axes of a weight over which one mean reaches."""
        return x

    def span(self) -> Tensor | float:
        """The upper end of the range [0, span] that it clips to, without gradient; 1.0 where it does not
        clip."""
        return 1.0

    @torch.no_grad()
    def initialise(self) -> None:
        """Set what is learned to where training starts."""


PRES: Table[Pre] = Table()


@PRES.builds(spec.AsItIs)
class AsItIs(Pre):
    """x."""

    identity = True


@PRES.builds(spec.Center)
class Center(Pre):
    """w − mean(w)."""

    def prepare(self, x: Tensor, dims: Dims) -> Tensor:
        return x - x.mean(dim=dims, keepdim=True)


@PRES.builds(spec.Standardize)
class Standardize(Pre):
    """ŵ = (w − mean)/σ, σ with n − 1 in its divisor: Libra-PB's balanced, standardized weights (IR-Net, arXiv
    1909.10788 eq. 7; the authors' code has torch's σ). The gradient passes mean and σ. Equal weights give
    0."""

    def prepare(self, x: Tensor, dims: Dims) -> Tensor:
        centred = x - x.mean(dim=dims, keepdim=True)
        deviation = centred.std(dim=dims, keepdim=True)
        return centred / torch.where(deviation == 0, 1.0, deviation)


RING = (0, 1, 2, 5, 8, 7, 6, 3)
"""The border of a 3×3 kernel, clockwise."""


@PRES.builds(spec.Circulant)
class Circulant(Pre):
    """F[o·M + k, i·M + (m + k) mod M] = W[o, i·M + m] turned clockwise by k/M of a full turn: M filters of
    each stored one. The gradients of the copies are turned back and summed (CBCN, arXiv 1910.10853, in the
    authors' ORConv). A 1×1 kernel, or a dense layer's row, only moves along the channels."""

    turns: Tensor

    def __init__(self, spec: spec.Circulant, channels: int = 0) -> None:
        super().__init__(spec)
        self.copies = spec.copies
        turns = [_turned(k, spec.copies) for k in range(spec.copies)]
        self.register_buffer("turns", torch.tensor(turns), persistent=False)

    def prepare(self, x: Tensor, dims: Dims) -> Tensor:
        split = x.reshape(len(x), -1, self.copies, *([x[0, 0].numel()] if x.dim() > 2 else []))
        turns = x[0, 0].numel() > 1
        copies = [split[..., self.turns[k]] if turns else split for k in range(self.copies)]
        moved = [copy.roll(k, dims=2) for k, copy in enumerate(copies)]
        return torch.stack(moved, dim=1).reshape(-1, *x.shape[1:])


def _turned(k: int, copies: int) -> list[int]:
    """From where each tap of a 3×3 kernel comes that is turned clockwise by k/copies of a full turn."""
    taps = list(range(9))
    for place, tap in enumerate(RING):
        taps[tap] = RING[(place - k * len(RING) // copies) % len(RING)]
    return taps


@PRES.builds(spec.Shift)
class Shift(Pre):
    """x + s[c], s learned and 0 at first: the threshold of a sign moves to −s (ReActNet's RSign, arXiv
    2003.03488 eq. 1, whose α is −s)."""

    channelwise = True

    def __init__(self, spec: spec.Shift, channels: int) -> None:
        super().__init__(spec)
        self.shift = nn.Parameter(torch.zeros(channels))
        self.rate, self.weight_decay = spec.rate, spec.weight_decay

    @torch.no_grad()
    def initialise(self) -> None:
        self.shift.zero_()

    def prepare(self, x: Tensor, dims: Dims) -> Tensor:
        return x + self.shift.view(-1, *[1] * (x.dim() - 2 if x.dim() > 2 else 0))


@PRES.builds(spec.Pact)
class Pact(Pre):
    """y = clip(x, 0, α); ∂y/∂x = 1[0 ≤ x ≤ α], ∂y/∂α = 1[x ≥ α] (PACT, arXiv 1805.06085 eqs. 1–3). The codes
    behind it divide [0, α] evenly; nothing of their rounding reaches α."""

    def __init__(self, spec: spec.Pact, channels: int) -> None:
        super().__init__(spec)
        self.start, self.alpha = spec.start, nn.Parameter(torch.tensor(spec.start))
        self.rate, self.weight_decay = spec.rate, spec.weight_decay

    @torch.no_grad()
    def initialise(self) -> None:
        self.alpha.fill_(self.start)

    def prepare(self, x: Tensor, dims: Dims) -> Tensor:
        result: Tensor = _Clip.apply(x, self.alpha)  # type: ignore[no-untyped-call]  # in torch
        return result

    def span(self) -> Tensor | float:
        """α; 1 where α is 0, so that all are 0 and none is 0/0."""
        alpha = self.alpha.detach()
        return torch.where(alpha == 0, 1.0, alpha)


class _Clip(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: Tensor) -> Tensor:
        ctx.save_for_backward(x, alpha)
        return torch.minimum(x.clamp(min=0), alpha)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        x, alpha = ctx.saved_tensors
        inside, beyond = (x >= 0) & (x <= alpha), x >= alpha
        return grads[0] * inside, (grads[0] * beyond).sum().to(alpha.dtype)
