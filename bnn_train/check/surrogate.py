"""The network as a function whose true gradient is the one that training uses.

The derivative of a sign is 0 almost everywhere, so a binary network has no gradient to compare with. Its
training follows that of another function: at the point x₀ where the network stands, each quantizer q is
replaced by x ↦ q(x₀) + A(x) − A(x₀), where A′ is the derivative that the estimator names. The values at x₀
stay those of the network, signs and all, and finite differences of this function must give what the layers'
backward passes give. Weight gradients are treated alike, each by its own formula. Everything here is stated
anew, from the papers' formulas; only quantized values come from the layers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bnn_train.binary.activations import quantize_input
from bnn_train.binary.layers import BinaryConv2d, BinaryLayer


def _approx_sign(x: Tensor) -> Tensor:
    """−1, 2x + x², 2x − x², 1 with bounds −1, 0, 1 (Bi-Real Net, arXiv 1808.00278 eq. 8)."""
    return torch.where(x.abs() < 1, 2 * x - x * x.abs(), x.sign())


# estimator → a function whose derivative it is
ANTIDERIVATIVES: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "clip": lambda x: x.clamp(-1, 1),
    "clip_open": lambda x: x.clamp(-1, 1),
    "approx_sign": _approx_sign,
    "unit": lambda x: x.clamp(0, 1),
}


@dataclass(frozen=True, kw_only=True)
class _Weight:
    """A latent weight w near w₀, where it is quantized to α₀·q₀."""

    start: Tensor
    """α₀·q₀."""
    codes: Tensor
    """q₀."""
    alpha: Tensor
    """α₀, 1 without a scale."""
    now: Tensor
    """α of w, or a learned α."""
    moved: Tensor
    """w − w₀."""
    bent: Tensor
    """A(w) − A(w₀)."""
    shared: int
    """n, the weights that share one α."""
    centring: float
    """1 − 1/I where the method centres its latent weights, else 1."""


# weight gradient → the function near w₀ whose derivative it is
WEIGHTS: dict[str, Callable[[_Weight], Tensor]] = {
    "identity": lambda c: c.start + c.moved,
    "detached": lambda c: c.start + c.alpha * c.bent,
    "exact": lambda c: c.now * (c.codes + c.bent),
    "official": lambda c: c.start + c.centring * (c.moved / c.shared + c.alpha * c.bent),
}
UNTRUE = {
    "identity": "∂L/∂w = ∂L/∂ŵ",
    "official": "∂L/∂w = ∂L/∂ŵ·(1/n + α·m)·(1 − 1/I)",
}
"""Weight gradients that are not the chain rule's: their formula is compared, not a derivative of the loss."""


class SurrogateLayer(nn.Module):
    """A binary layer near the input and the weight of its first forward pass."""

    def __init__(self, layer: BinaryLayer) -> None:
        super().__init__()
        self.layer = layer
        self._first_input: tuple[Tensor, Tensor] | None = None
        self._first_weight: tuple[Tensor, Tensor, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """As the layer's; its generator draws in the same order: input, dropout, weight."""
        layer = self.layer
        quantized = self._input(x)
        if layer.dropout:
            drop = F.dropout2d if layer.channel_dropout else F.dropout
            quantized = drop(quantized, layer.dropout, self.training)
        weight = self._weight()
        conv = isinstance(layer, BinaryConv2d)
        y = _convolved(layer, quantized, weight) if isinstance(layer, BinaryConv2d) else quantized @ weight.T
        if layer.quantizes_input and layer.method.activation.scale == "xnor_k":
            y = y * (
                _box_mean(layer, x) if isinstance(layer, BinaryConv2d) else x.abs().mean(1, keepdim=True)
            )
        return y if layer.bias is None else y + (layer.bias.view(-1, 1, 1) if conv else layer.bias)

    def _input(self, x: Tensor) -> Tensor:
        if not self.layer.quantizes_input:
            return x
        spec = self.layer.method.activation
        quantized = quantize_input(x, spec, training=self.training)
        if self._first_input is None:
            self._first_input = x.clone(), quantized
        x0, start = self._first_input
        bend = ANTIDERIVATIVES[spec.estimator]
        return start + bend(x) - bend(x0)

    def _weight(self) -> Tensor:
        layer = self.layer
        if not layer.binarizes:
            return layer.weight
        w, spec = layer.weight, layer.method.weight
        quantized, alpha = layer.read_weight(), layer.codes()[1]
        alpha = torch.ones((), dtype=w.dtype, device=w.device) if alpha is None else alpha
        if self._first_weight is None:
            self._first_weight = w.clone(), quantized.clone(), alpha.clone()
        w0, start, alpha0 = self._first_weight
        bend = ANTIDERIVATIVES[spec.estimator]
        codes = start / alpha0
        learned = spec.scale.kind == "learned"
        return WEIGHTS[spec.gradient](
            _Weight(
                start=codes * alpha if learned else start,
                codes=codes,
                alpha=alpha if learned else alpha0,
                now=alpha,
                moved=w - w0,
                bent=bend(w) - bend(w0),
                shared=w.numel() if spec.scale.granularity == "layer" else w[0].numel(),
                centring=1 - 1 / w.shape[1] if layer.method.latent.center else 1.0,
            )
        )


def gain(layer: BinaryLayer) -> int:
    """The factor on the weight's gradient that is no derivative either: n under `fan_in`."""
    return layer.weight[0].numel() if layer.method.weight.gain == "fan_in" else 1


def _convolved(layer: BinaryConv2d, x: Tensor, weight: Tensor) -> Tensor:
    top, left = (int(p) for p in layer.padding)
    value = float(layer.method.padding) if layer.quantizes_input else 0.0
    x = F.pad(x, (left, left, top, top), value=value)
    return F.conv2d(x, weight, None, layer.stride, 0, layer.dilation, layer.groups)


def _box_mean(layer: BinaryConv2d, x: Tensor) -> Tensor:
    """K of XNOR-Net eq. 10: mean |x| over the channels of a group and the taps of a window, zeros around."""
    a = torch.unflatten(x.abs(), 1, (layer.groups, -1)).mean(dim=2)
    a = a.repeat_interleave(layer.out_channels // layer.groups, 1)
    kh, kw = layer.kernel_size
    box = a.new_full((a.shape[1], 1, kh, kw), 1 / (kh * kw))
    return F.conv2d(a, box, None, layer.stride, layer.padding, layer.dilation, a.shape[1])


class _FixedMaxPool(nn.Module):
    """The maxima at the places of the first pass: sums of signs tie often, and a tie has no derivative."""

    def __init__(self, pool: nn.MaxPool2d) -> None:
        super().__init__()
        self.pool, self._places = pool, torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W → N×C×H′×W′."""
        p = self.pool
        if not self._places.numel():
            sizes = (p.kernel_size, p.stride, p.padding, p.dilation)
            _, self._places = F.max_pool2d(x, *sizes, ceil_mode=p.ceil_mode, return_indices=True)
        return x.flatten(2).gather(2, self._places.flatten(2)).view(self._places.shape)


class _FixedReLU(nn.Module):
    """ReLU on the side of its kink where each number first stood; torch's derivative at 0 is 0."""

    def __init__(self) -> None:
        super().__init__()
        self._open = torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        if not self._open.numel():
            self._open = (x > 0).to(x.dtype)
        return x * self._open


def replace(model: nn.Module) -> None:
    """Put a surrogate in the place of every binary layer, max-pooling and ReLU."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, BinaryLayer):
                setattr(parent, name, SurrogateLayer(child))
            elif isinstance(child, nn.MaxPool2d):
                setattr(parent, name, _FixedMaxPool(child))
            elif isinstance(child, nn.ReLU):
                setattr(parent, name, _FixedReLU())


def plain_norms(model: nn.Module) -> int:
    """Put torch's own batch norms in the place of variants, whose backward is no derivative; how many."""
    count = 0
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            base = nn.BatchNorm2d if isinstance(child, nn.BatchNorm2d) else nn.BatchNorm1d
            if isinstance(child, _BatchNorm) and type(child) is not base:
                norm = base(child.num_features, eps=child.eps, momentum=child.momentum)
                norm.weight, norm.bias = child.weight, child.bias
                setattr(parent, name, norm.to(child.weight))
                count += 1
    return count
