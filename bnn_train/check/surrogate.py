"""The network as a function whose true gradient is the one that training uses.

The derivative of a sign is 0 almost everywhere, so a binary network has no gradient to compare with. Its
training follows that of another function: at the point x₀ where the network stands, each quantizer q is
replaced by x ↦ q(x₀) + A(x) − A(x₀), where A′ is the derivative that the estimator names. The values at x₀
stay those of the network, signs and all, and finite differences of this function must give what the layers'
backward passes give. Weight gradients are treated alike, each by its own formula. Each quantizer states the
function beside its slope (``around``); products, poolings and clips are stated anew here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bnn_train.binary.estimators import line
from bnn_train.binary.input_quantizer import InputQuantizer
from bnn_train.binary.layers import BinaryConv2d, BinaryLayer
from bnn_train.binary.nonlinear import PReLU, of_channels
from bnn_train.binary.output_gradients import OUTPUT_GRADIENTS
from bnn_train.spec.output_gradients import RealGradient

Near = Callable[[Tensor], Tensor]


class SurrogateLayer(nn.Module):
    """A stand-in for a binary layer whose true derivative is the gradient that training uses.

    It has the layer's value at the input ``x0`` and at the weight of its first forward pass, and each
    quantizer's differentiable function (``around``) near them.
    """

    def __init__(self, layer: BinaryLayer, x0: Tensor) -> None:
        super().__init__()
        self.layer, self._x0 = layer, x0
        self._input_near: Near | None = None
        self._weight_near: Near | None = None

    def forward(self, x: Tensor) -> Tensor:
        """As the layer's; its generator draws in the same order: input, dropout, weight."""
        layer = self.layer
        inputs = layer.input_quantizer
        if isinstance(layer, BinaryConv2d) and inputs is not None and inputs.quantizer.by_window:
            return self._windowed(layer, inputs, x)
        quantized = self.quantized(x)
        if layer.dropout:
            drop = F.dropout2d if layer.channel_dropout else F.dropout
            quantized = drop(quantized, layer.dropout, self.training)
        weight = self.read_weight()
        conv = isinstance(layer, BinaryConv2d)
        y = _convolved(layer, quantized, weight) if isinstance(layer, BinaryConv2d) else quantized @ weight.T
        scale = layer.input_scale(x) if layer.quantizes_input else None
        if scale is not None and isinstance(layer, BinaryConv2d):
            scale = (
                scale.repeat_interleave(layer.out_channels // layer.groups, 1) if layer.groups > 1 else scale
            )
        y = layer.output_scale.scaled(y if scale is None else y * scale) if layer.quantizes_input else y
        return y if layer.bias is None else y + (layer.bias.view(-1, 1, 1) if conv else layer.bias)

    def _windowed(self, layer: BinaryConv2d, inputs: InputQuantizer, x: Tensor) -> Tensor:
        """A convolution whose windows are quantized each by itself."""
        patches, inside = layer.windows(inputs.prepared(self._x0).detach())
        near = inputs.quantizer.around_windows(
            patches, inside, inputs.estimator, lambda x: layer.windows(inputs.prepared(x))[0]
        )
        self._input_near = self._input_near or near
        quantized = layer.dropped_windows(self._input_near(x), x)
        y = layer.joined(F.conv2d(quantized, self.read_weight(), groups=layer.groups), x)
        return y if layer.bias is None else y + layer.bias.view(-1, 1, 1)

    def quantized(self, x: Tensor) -> Tensor:
        """As the layer's."""
        quantizer = self.layer.input_quantizer
        if quantizer is None:
            return x
        drawn = quantizer.around(self._x0)  # as often as the layer draws
        self._input_near = self._input_near or drawn
        return self._input_near(x)

    def read_weight(self) -> Tensor:
        """As the layer's."""
        layer, quantizer = self.layer, self.layer.weight_quantizer
        if quantizer is None or layer.reads_latent:
            return layer.weight
        drawn = quantizer.around(layer.weight)
        self._weight_near = self._weight_near or drawn
        return self._weight_near(layer.weight)


def _convolved(layer: BinaryConv2d, x: Tensor, weight: Tensor) -> Tensor:
    top, left = (int(p) for p in layer.padding)
    border = (left, left, top, top)
    quantizer = layer.input_quantizer
    x = F.pad(x, border) if quantizer is None else quantizer.padded(x, border, layer.method.padding)
    return F.conv2d(x, weight, None, layer.stride, 0, layer.dilation, layer.groups)


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
        return self._y0 + line(x, self._x0, self._open)


class _FixedPReLU(nn.Module):
    """PReLU on the side of its kink where each number stands in ``x0``; at the kink, the side below."""

    def __init__(self, act: PReLU, x0: Tensor) -> None:
        super().__init__()
        self.negative, self.positive = act.negative, act.positive
        self._above = x0 > 0

    def forward(self, x: Tensor) -> Tensor:
        """N×C×…"""
        above = x if self.positive is None else x * of_channels(self.positive, x)
        return torch.where(self._above, above, x * of_channels(self.negative, x))


REPLACED: tuple[tuple[Any, Callable[[Any, Tensor], nn.Module]], ...] = (
    (BinaryLayer, SurrogateLayer),
    (nn.MaxPool2d, _FixedMaxPool),
    ((nn.ReLU, nn.Hardtanh), _FixedClamp),
    (PReLU, _FixedPReLU),
)


def replaced(model: nn.Module) -> dict[str, nn.Module]:
    """The modules that ``replace`` exchanges, by name; it asks for their inputs."""
    return {name: m for name, m in model.named_modules() if any(isinstance(m, kind) for kind, _ in REPLACED)}


def replace(model: nn.Module, inputs: Mapping[str, Tensor]) -> None:
    """Put a surrogate in the place of every binary layer, max-pooling and nonlinearity with kinks.

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


def plain_gradients(model: nn.Module) -> list[str]:
    """Let gradients at outputs pass as they are; a clause on each layer that rounds them."""
    rounding = [m for m in model.modules() if isinstance(m, BinaryLayer) and m.output_gradient.untrue]
    said = [str(layer.output_gradient.untrue) for layer in rounding]
    for layer in rounding:
        layer.output_gradient = OUTPUT_GRADIENTS.build(RealGradient())
    return said
