"""The ways in which a gradient returns from the quantized weight to the latent one.

O: output filters; a filter holds n weights: I·Kh·Kw of a convolution (per group), I of a dense layer. g is
the gradient with respect to ŵ = α·q(w); m = q̃′(w) is the estimator's mask or slope. Each rule states its
gradient and, for finite differences, the function near w₀ whose derivative it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from bnn_train.binary.estimators import Estimator
from bnn_train.binary.sign import sign

Dims = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Context:
    """All that a rule may read, besides g."""

    w: Tensor
    alpha: Tensor | None
    estimator: Estimator
    dims: Dims
    centered: bool
    bases: int = 0

    def alpha_mask(self, g: Tensor) -> Tensor:
        """α·m·g, α the sum over the bases where there are several."""
        masked = self.estimator.slope(g, self.w)
        if self.alpha is None:
            return masked
        return masked * (self.alpha.sum(dim=0) if self.bases else self.alpha)

    @property
    def count(self) -> int:
        """n, the weights that share one α."""
        return self.w.numel() if 0 in self.dims else self.w[0].numel()


@dataclass(frozen=True, kw_only=True)
class Near:
    """A latent weight w near w₀, where it is quantized to α₀·q₀."""

    start: Tensor
    """α₀·q₀, with the present α where it is learned."""
    codes: Tensor
    """q₀."""
    alpha: Tensor
    """α₀, or a learned α as it is now; 1 without a scale."""
    now: Tensor
    """α of w."""
    moved: Tensor
    """w − w₀."""
    bent: Tensor
    """A(w) − A(w₀)."""
    shared: int
    """n, the weights that share one α."""
    centring: float
    """1 − 1/I where the method centres its latent weights, else 1."""


class Gradient:
    """∂L/∂w = g: applied unchanged to the latent weight (BinaryConnect, TWN, DoReFa-Net)."""

    untrue: str | None = "∂L/∂w = ∂L/∂ŵ"
    """The formula of a rule that is no derivative of the loss; None for one that is."""
    keeps: bool = True
    """Whether a weight outside the estimator's window still gets some gradient."""

    def latent(self, g: Tensor, c: Context) -> Tensor:
        """∂L/∂w from g = ∂L/∂ŵ."""
        return g

    def near(self, c: Near) -> Tensor:
        """ŵ near w₀."""
        return c.start + c.moved


class Detached(Gradient):
    """∂L/∂w = α·m·g: α a constant (Bi-Real Net's magnitude-aware gradient, arXiv 1808.00278 eq. 8)."""

    untrue = None
    keeps = False

    def latent(self, g: Tensor, c: Context) -> Tensor:
        return c.alpha_mask(g)

    def near(self, c: Near) -> Tensor:
        return c.start + c.alpha * c.bent


class Unscaled(Gradient):
    """∂L/∂w = m·g: α multiplies the codes in the forward pass alone (ReActNet's code, birealnet.py; with m =
    1[|w| ≤ 1])."""

    untrue = "∂L/∂w = ∂L/∂ŵ·m"
    keeps = False

    def latent(self, g: Tensor, c: Context) -> Tensor:
        return c.estimator.slope(g, c.w)

    def near(self, c: Near) -> Tensor:
        return c.start + c.bent


class Exact(Gradient):
    """∂L/∂wᵢ = (1/n)·s(wᵢ)·Σⱼ gⱼ·s(wⱼ) + α·mᵢ·gᵢ: the chain rule through α = mean|w|, s = sign."""

    untrue = None

    def latent(self, g: Tensor, c: Context) -> Tensor:
        s = sign(c.w)
        shared = (g * s).sum(dim=c.dims, keepdim=True) / c.count
        return c.alpha_mask(g).addcmul_(s, shared)

    def near(self, c: Near) -> Tensor:
        return c.now * (c.codes + c.bent)


class Official(Gradient):
    """∂L/∂wᵢ = gᵢ·(1/n + α·mᵢ)·(1 − 1/I): XNOR-Net's own code (util.lua updateBinaryGradWeight).

    The paper's formula keeps only the diagonal of the exact one; the factor (1 − 1/I), I the input
    channels, is the diagonal of the Jacobian of mean-centring and absent where the method does not centre.
    """

    untrue = "∂L/∂w = ∂L/∂ŵ·(1/n + α·m)·(1 − 1/I)"

    def latent(self, g: Tensor, c: Context) -> Tensor:
        result = c.alpha_mask(g).add_(g, alpha=1 / c.count)
        return result.mul_(1 - 1 / c.w.shape[1]) if c.centered else result

    def near(self, c: Near) -> Tensor:
        return c.start + c.centring * (c.moved / c.shared + c.alpha * c.bent)


GRADIENTS: dict[str, Gradient] = {
    "identity": Gradient(),
    "exact": Exact(),
    "official": Official(),
    "detached": Detached(),
    "unscaled": Unscaled(),
}

GAINS: dict[str, Callable[[Tensor], int]] = {"none": lambda w: 1, "fan_in": lambda w: w[0].numel()}
"""The factor on a filter's gradient that is no derivative: n under `fan_in`."""
