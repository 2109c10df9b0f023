"""The factor α of quantized weights. O: output filters; α is O×1×… or, one for the layer, 1×1×…"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bnn_train.binary.shift_norm import ap2, power_below
from bnn_train.binary.tables import Table
from bnn_train.spec import scales as spec

Dims = tuple[int, ...]


class Scale(nn.Module):
    """No factor; subclasses find one."""

    alpha: nn.Parameter | None
    """A learned α: O numbers, or one for the layer."""
    reads_curvature = False
    """Whether ``take`` wants the second moment of the weight's gradient after each step."""

    def __init__(self, spec: object, weight: Tensor, dims: Dims) -> None:
        super().__init__()
        self.spec = spec
        self.register_parameter("alpha", None)

    def find(self, w: Tensor, codes: Tensor, dims: Dims) -> Tensor | None:
        """α for the numbers ``w`` and their codes, or None. ``dims``: the axes over which one α reaches."""
        return None

    def learned(self, g: Tensor) -> Tensor:
        """The gradient of the parameter from ``g``, that of α; its numbers one after the other."""
        return g

    def initialise(self, w: Tensor, dims: Dims) -> None:
        """Set a learned α to the best one for the weights as they are."""

    def take(self, moment: Tensor) -> None:
        """Learn the optimizer's estimate of E[g²] of each weight, in its shape."""


SCALES: Table[Scale] = Table()
SCALES.builds(spec.NoScale)(Scale)


@SCALES.builds(spec.L1)
class L1(Scale):
    """α = ‖w‖₁/n, which minimises ‖w − α·sign(w)‖² (XNOR-Net, arXiv 1603.05279 eq. 6)."""

    def find(self, w: Tensor, codes: Tensor, dims: Dims) -> Tensor | None:
        return w.abs().mean(dim=dims, keepdim=True)


@SCALES.builds(spec.L1Masked)
class L1Masked(Scale):
    """α = mean |w| over the weights whose code is not 0 (TWN, arXiv 1605.04711 eq. 5)."""

    def find(self, w: Tensor, codes: Tensor, dims: Dims) -> Tensor | None:
        kept = codes.sign().abs_()  # no mask, which CPUs are slow at
        return (w.abs() * kept).sum(dim=dims, keepdim=True) / kept.sum(dim=dims, keepdim=True).clamp_(min=1)


@SCALES.builds(spec.Pow2)
class Pow2(Scale):
    """α = 2^s, s = round(log₂ mean |w|), a constant in the gradient (IR-Net, arXiv 1909.10788 eq. 8)."""

    def find(self, w: Tensor, codes: Tensor, dims: Dims) -> Tensor | None:
        return ap2(w.abs().mean(dim=dims, keepdim=True))


@SCALES.builds(spec.Learned)
class Learned(Scale):
    """α, a parameter that starts at mean |w|; ∂L/∂α = Σⱼ gⱼ·q(wⱼ)."""

    alpha: nn.Parameter

    def __init__(self, spec: object, weight: Tensor, dims: Dims) -> None:
        super().__init__(spec, weight, dims)
        self.alpha = nn.Parameter(weight.new_ones(1 if 0 in dims else len(weight)))

    def find(self, w: Tensor, codes: Tensor, dims: Dims) -> Tensor | None:
        return self.alpha.view(-1, *[1] * (w.dim() - 1))

    @torch.no_grad()
    def initialise(self, w: Tensor, dims: Dims) -> None:
        self.alpha.copy_(w.abs().mean(dim=dims, keepdim=True).flatten())


@SCALES.builds(spec.LearnedMagnitude)
class LearnedMagnitude(Learned):
    """α = |γ|, γ a parameter that starts at 1; ∂L/∂γ = sign(γ)·Σⱼ gⱼ·q(wⱼ) (ReBNet, arXiv 1711.01243)."""

    def find(self, w: Tensor, codes: Tensor, dims: Dims) -> Tensor | None:
        return self.alpha.abs().view(-1, *[1] * (w.dim() - 1))

    def learned(self, g: Tensor) -> Tensor:
        return g * self.alpha.sign()

    @torch.no_grad()
    def initialise(self, w: Tensor, dims: Dims) -> None:
        self.alpha.fill_(1)


@SCALES.builds(spec.Curvature)
class Curvature(Scale):
    """α = Σ D·|w| / Σ D, which minimises Σ D·(α·sign(w) − w)² (LAB, arXiv 1611.01600): D = √v + 1e-8, v the
    optimizer's second moment of the weight's gradient. Before the first step D is 1 everywhere, and α is mean
    |w|. Where the optimizer corrects v for its beginning at 0, D is all of one factor larger, which α does
    not see but beside 1e-8. D is a buffer: evaluations, exports and resumed runs have the same α."""

    reads_curvature = True
    curvature: Tensor

    def __init__(self, spec: object, weight: Tensor, dims: Dims) -> None:
        super().__init__(spec, weight, dims)
        self.register_buffer("curvature", torch.ones_like(weight))

    def take(self, moment: Tensor) -> None:
        self.curvature.copy_(moment.sqrt().add_(1e-8))

    def find(self, w: Tensor, codes: Tensor, dims: Dims) -> Tensor | None:
        weighted = (self.curvature * w.abs()).sum(dim=dims, keepdim=True)
        return weighted / self.curvature.sum(dim=dims, keepdim=True)

    def initialise(self, w: Tensor, dims: Dims) -> None:
        self.curvature.fill_(1)


@SCALES.builds(spec.LearnedUniform)
class LearnedUniform(Learned):
    """α, a parameter that starts in U(0, 1) and has no bounds; ∂L/∂α = Σⱼ gⱼ·q(wⱼ) (ReCU, arXiv
    2103.12369)."""

    @torch.no_grad()
    def initialise(self, w: Tensor, dims: Dims) -> None:
        self.alpha.uniform_(0, 1)


@SCALES.builds(spec.MaxPow2)
class MaxPow2(Scale):
    """α = 2^⌊log₂(4·max|w|/3)⌋ / max|q|: the largest weight is 2ⁿ (INQ, arXiv 1702.03044 eq. 3)."""

    def find(self, w: Tensor, codes: Tensor, dims: Dims) -> Tensor | None:
        top, code = (x.abs().amax(dim=dims, keepdim=True) for x in (w, codes))
        return power_below(4 * top / 3) / code.clamp(min=1)
