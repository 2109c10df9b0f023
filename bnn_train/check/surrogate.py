"""The network as a function whose true gradient is the one that training uses.

The derivative of a sign is 0 almost everywhere, so a binary network has no gradient to compare with. Its
training follows that of another function: at the point x₀ where the network stands, each quantizer q is
replaced by x ↦ q(x₀) + A(x) − A(x₀), where A′ is the derivative that the estimator names. The values at x₀
stay those of the network, signs and all, and finite differences of this function must give what the layers'
backward passes give. Weight gradients are treated alike, each by its own formula. Everything here is stated
anew, from the papers' formulas; only quantized values come from the layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bnn_train.binary.activations import quantize_input
from bnn_train.binary.layers import BinaryConv2d, BinaryLayer


def _line(x: Tensor, x0: Tensor, inside: Tensor) -> Tensor:
    """Htanh and its like: slope 1 inside, 0 outside."""
    return (x - x0) * inside


def _approx_sign(x: Tensor, x0: Tensor) -> Tensor:
    """Of −1, 2x + x², 2x − x², 1 with bounds −1, 0, 1 (Bi-Real Net, arXiv 1808.00278 eq. 8)."""
    side = x0.sign()
    return ((2 * x - side * x.square()) - (2 * x0 - side * x0.square())) * (x0.abs() < 1)


# estimator → A(x) − A(x₀), where A has the estimator for its derivative, on the piece of A that holds x₀: a
# norm over few images puts numbers on both sides of ±1 within 10⁻⁶, which a difference would jump over
PIECES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "identity": lambda x, x0: x - x0,
    "clip": lambda x, x0: _line(x, x0, x0.abs() <= 1),
    "clip_open": lambda x, x0: _line(x, x0, x0.abs() < 1),
    "approx_sign": _approx_sign,
    "unit": lambda x, x0: _line(x, x0, (x0 >= 0) & (x0 <= 1)),
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
    """A binary layer near the input ``x0`` and near the weight of its first forward pass."""

    def __init__(self, layer: BinaryLayer, x0: Tensor) -> None:
        super().__init__()
        self.layer, self._x0 = layer, x0
        self._first_codes: Tensor | None = None
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
        quantized = quantize_input(self._x0, spec, training=self.training)
        if self._first_codes is None:
            self._first_codes = quantized
        return self._first_codes + PIECES[spec.estimator](x, self._x0)

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
        codes = start / alpha0
        learned = spec.scale.kind == "learned"
        return WEIGHTS[spec.gradient](
            _Weight(
                start=codes * alpha if learned else start,
                codes=codes,
                alpha=alpha if learned else alpha0,
                now=alpha,
                moved=w - w0,
                bent=PIECES[spec.estimator](w, w0),
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
    """The maxima at the places where they are in ``x0``: sums of signs tie, and a tie has no derivative."""

    def __init__(self, p: nn.MaxPool2d, x0: Tensor) -> None:
        super().__init__()
        sizes = (p.kernel_size, p.stride, p.padding, p.dilation)
        _, self._places = F.max_pool2d(x0, *sizes, ceil_mode=p.ceil_mode, return_indices=True)

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W → N×C×H′×W′."""
        return x.flatten(2).gather(2, self._places.flatten(2)).view(self._places.shape)


class _FixedClamp(nn.Module):
    """ReLU or Hardtanh on the side of their kinks where each number stands in ``x0``; at a kink, torch's
    derivative is 0."""

    def __init__(self, act: nn.ReLU | nn.Hardtanh, x0: Tensor) -> None:
        super().__init__()
        low, high = (act.min_val, act.max_val) if isinstance(act, nn.Hardtanh) else (0.0, torch.inf)
        self._x0, self._y0 = x0, x0.clamp(low, high)
        self._open = (x0 > low) & (x0 < high)

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return self._y0 + _line(x, self._x0, self._open)


REPLACED: tuple[tuple[Any, Callable[[Any, Tensor], nn.Module]], ...] = (
    (BinaryLayer, SurrogateLayer),
    (nn.MaxPool2d, _FixedMaxPool),
    ((nn.ReLU, nn.Hardtanh), _FixedClamp),
)


def replaced(model: nn.Module) -> dict[str, nn.Module]:
    """The modules that ``replace`` exchanges, by name; it asks for their inputs."""
    return {name: m for name, m in model.named_modules() if any(isinstance(m, kind) for kind, _ in REPLACED)}


def replace(model: nn.Module, inputs: Mapping[str, Tensor]) -> None:
    """Put a surrogate in the place of every binary layer, max-pooling, ReLU and Hardtanh.

    ``inputs``: what each of them reads in the network itself, by name; rounding may not decide ties anew.
    """
    for name, module in replaced(model).items():
        make = next(make for kind, make in REPLACED if isinstance(module, kind))
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, make(module, inputs[name].detach()))


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
