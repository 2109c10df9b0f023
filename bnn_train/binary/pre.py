"""Steps before the quantizer: centring, standardizing, shifting, clipping, each with its gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from bnn_train.binary.learned import Learns
from bnn_train.binary.placed import Placed
from bnn_train.binary.rotations import turned
from bnn_train.binary.tables import Table
from bnn_train.spec import pre as spec

Dims = tuple[int, ...]
EPS = 1e-5
"""Added to variances, as ReCU's authors do."""


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

    def near(self, x0: Tensor, dims: Dims) -> Callable[[Tensor], Tensor]:
        """The function near ``x0`` whose true derivative is the gradient of ``prepare``: that itself, unless
        it holds something constant."""
        return lambda x: self.prepare(x, dims)

    def span(self) -> Tensor | float:
        """The upper end of the range [0, span] that it clips to, without gradient; 1.0 where it does not
        clip."""
        return 1.0

    @torch.no_grad()
    def initialise(self) -> None:
        """Set what is learned to where training starts."""

    def measure(self, inputs: Iterable[Tensor]) -> None:
        """Set what is measured to what suits these inputs."""


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


@PRES.builds(spec.TanhMax)
class TanhMax(Pre):
    """tanh(w)/max|tanh(w)| (DoReFa-Net, arXiv 1606.06160 eq. 9). The gradient passes tanh and, unless
    ``detach``, the maximum. Weights of 0 alone give 0."""

    spec: spec.TanhMax

    def prepare(self, x: Tensor, dims: Dims) -> Tensor:
        bent = torch.tanh(x)
        largest = bent.abs().amax(dim=dims, keepdim=True)
        largest = largest.detach() if self.spec.detach else largest
        return bent / torch.where(largest == 0, 1.0, largest)


@PRES.builds(spec.ClipUnit)
class ClipUnit(Pre):
    """clip(w, −1, 1), whose derivative is 1 on [−1, 1] (WRPN, arXiv 1709.01134)."""

    def prepare(self, x: Tensor, dims: Dims) -> Tensor:
        return x.clamp(-1, 1)


@PRES.builds(spec.Circulant)
class Circulant(Pre):
    """F[o·M + k, i·M + (m + k) mod M] = W[o, i·M + m] turned clockwise by k/M of a full turn: M filters of
    each stored one. The gradients of the copies are turned back and summed (CBCN, arXiv 1910.10853, in the
    authors' ORConv). A 1×1 kernel, or a dense layer's row, only moves along the channels."""

    turns: Tensor

    def __init__(self, spec: spec.Circulant, channels: int = 0) -> None:
        super().__init__(spec)
        self.copies = spec.copies
        turns = [turned(k, spec.copies) for k in range(spec.copies)]
        self.register_buffer("turns", torch.tensor(turns), persistent=False)

    def prepare(self, x: Tensor, dims: Dims) -> Tensor:
        split = x.reshape(len(x), -1, self.copies, *([x[0, 0].numel()] if x.dim() > 2 else []))
        turns = x[0, 0].numel() > 1
        copies = [split[..., self.turns[k]] if turns else split for k in range(self.copies)]
        moved = [copy.roll(k, dims=2) for k, copy in enumerate(copies)]
        return torch.stack(moved, dim=1).reshape(-1, *x.shape[1:])


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


@PRES.builds(spec.Measured)
class Measured(Pre):
    """y = clip(x, 0, s), with a constant s."""

    top: Tensor

    def __init__(self, spec: spec.Measured, channels: int) -> None:
        super().__init__(spec)
        self.register_buffer("top", torch.ones(()))

    @torch.no_grad()
    def measure(self, inputs: Iterable[Tensor]) -> None:
        self.top.copy_(torch.stack([x.amax() for x in inputs]).amax().clamp(min=0))

    def prepare(self, x: Tensor, dims: Dims) -> Tensor:
        result: Tensor = _Clip.apply(x, self.top)  # type: ignore[no-untyped-call]  # in torch
        return result

    def span(self) -> Tensor | float:
        return torch.where(self.top == 0, 1.0, self.top)


@PRES.builds(spec.Clamp)
class Clamp(Pre):
    """clip(x, −limit, limit), with 1[|x| ≤ limit] as its gradient (LS, arXiv 2001.02786)."""

    spec: spec.Clamp

    def prepare(self, x: Tensor, dims: Dims) -> Tensor:
        return x.clamp(-self.spec.limit, self.spec.limit)


@PRES.builds(spec.Relu)
class Relu(Pre):
    """max(x, 0), with 1[x > 0] as its gradient."""

    def prepare(self, x: Tensor, dims: Dims) -> Tensor:
        return x.relu()


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


def deviation(x: Tensor, dims: Dims) -> Tensor:
    """√(σ² + 1e-5), n − 1 in the divisor of σ² where n is above 1."""
    several = math.prod(x.shape[d] for d in dims) > 1
    return (x.var(dim=dims, keepdim=True, correction=int(several)) + EPS).sqrt()


@PRES.builds(spec.RectifiedClamp)
class RectifiedClamp(Pre):
    """u = 2√2·(w − mean)/√(σ² + 1e-5), clamped to ±Q, Q = −E|u|·ln(2 − 2τ) (ReCU, arXiv 2103.12369; the
    authors' code). Mean and σ², n − 1 in its divisor, are those of a filter, E|u| is that of the layer; Q is
    a constant in the gradient. A weight beyond ±Q has no gradient of its own: it moves only through mean and
    σ."""

    spec: spec.RectifiedClamp

    def prepare(self, x: Tensor, dims: Dims) -> Tensor:
        u = self._standardized(x, dims)
        bound = self._bound(u.detach())
        return u.clamp(-bound, bound)

    def near(self, x0: Tensor, dims: Dims) -> Callable[[Tensor], Tensor]:
        bound = self._bound(self._standardized(x0, dims))
        return lambda x: self._standardized(x, dims).clamp(-bound, bound)

    def _standardized(self, x: Tensor, dims: Dims) -> Tensor:
        centred = x - x.mean(dim=dims, keepdim=True)
        return centred * (2 * math.sqrt(2)) / deviation(centred, dims)

    def _bound(self, u: Tensor) -> Tensor:
        return u.abs().mean() * -math.log(2 - 2 * self.number(self.spec.tau))


@PRES.builds(spec.SampleDeviation)
class SampleDeviation(Pre):
    """x/√(σ² + 1e-5) while training, σ² the variance of an image over channels and pixels, n − 1 in its
    divisor; x elsewhere (ReCU's authors' code). No sign changes by it, but gradients do."""

    def prepare(self, x: Tensor, dims: Dims) -> Tensor:
        if not self.training:
            return x
        return x / deviation(x, tuple(range(1, x.dim())))


@PRES.builds(spec.Tanh)
class Tanh(Pre):
    """tanh(ν·x), gradient ν/cosh²(ν·x) (Self-Binarizing Networks, arXiv 1902.00730; with ν = 1 the first
    stage of Bitwise Neural Networks, arXiv 1601.06071). Not 1 − tanh², which is 0 in half precision long
    before 1/cosh² is."""

    spec: spec.Tanh

    def prepare(self, x: Tensor, dims: Dims) -> Tensor:
        result: Tensor = _Tanh.apply(x, self.number(self.spec.nu))  # type: ignore[no-untyped-call]  # in torch
        return result


class _Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, nu: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.nu = nu
        return torch.tanh(x * nu)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return torch.cosh(x * ctx.nu).square_().reciprocal_().mul_(ctx.nu).mul_(grads[0]), None
