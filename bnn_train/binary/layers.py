"""The binary layers: float layers whose weight and input pass through the method's quantizers on read.

The parameter stays the latent weight. What the product sees is made anew at each forward pass, so
that neither the optimizer nor an evaluation ever meets a half-restored weight.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnn_train.binary.activations import quantize_input
from bnn_train.binary.spec import Method, Role
from bnn_train.binary.weights import quantize, quantize_weight


class _Binary(nn.Module):
    """What both layers share; mixed in before the float parent."""

    weight: nn.Parameter
    method: Method
    role: Role
    dropout: float

    def _adopt(self, method: Method, role: Role, dropout: float) -> None:
        self.method, self.role, self.dropout = method, role, dropout

    @property
    def quantizes_input(self) -> bool:
        """Whether the product sees quantized activations; the first layer reads the image as it is."""
        return self.method.quantizes_input(self.role)

    @property
    def binarizes(self) -> bool:
        """Whether the product sees quantized weights."""
        return self.method.binarizes(self.role)

    def read_weight(self) -> Tensor:
        """The weight of this forward pass: quantized, or latent where the method evaluates so."""
        spec = self.method.weight
        if not self.binarizes or (not self.training and spec.evaluate == "latent"):
            return self.weight
        return quantize_weight(self.weight, spec, centered=self.method.latent.center)

    def read_input(self, x: Tensor) -> Tensor:
        """The input of this forward pass: quantized, then dropped out."""
        if self.quantizes_input:
            x = quantize_input(x, self.method.activation, training=self.training)
        return self._drop(x)

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training) if self.dropout else x

    @torch.no_grad()
    def codes(self) -> tuple[Tensor, Tensor | None]:
        """The deterministic codes of the weight and α, as an export stores them."""
        spec = self.method.weight
        if spec.quantizer == "stochastic_sign":
            spec = spec.model_copy(update={"quantizer": "sign"})
        return quantize(self.weight.detach(), spec)

    def binary_weight(self) -> Tensor:
        """α·codes: the deterministic weight of the forward pass, detached."""
        codes, alpha = self.codes()
        return codes if alpha is None else codes * alpha

    def extra_repr(self) -> str:
        """The float layer's line, with method and role."""
        return f"{super().extra_repr()}, method={self.method.name}, role={self.role}"


class BinaryConv2d(_Binary, nn.Conv2d):
    """Convolution of N×I×H×W with a quantized O×I×Kh×Kw weight; padded taps hold ``method.padding``."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, method: Method, role: Role, dropout: float = 0.0, **conv: Any
    ) -> None:
        nn.Conv2d.__init__(self, inputs, outputs, kernel, **conv)
        self._adopt(method, role, dropout)

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout2d(x, self.dropout, self.training) if self.dropout else x

    def forward(self, input: Tensor) -> Tensor:
        """N×I×H×W → N×O×H′×W′."""
        x, padding = self.read_input(input), self.padding
        if self.quantizes_input and self.method.padding:
            top, left = (int(p) for p in self.padding)
            x, padding = F.pad(x, (left, left, top, top), value=float(self.method.padding)), (0, 0)
        scale = self._input_scale(input)
        bias = self.bias if scale is None else None
        y = F.conv2d(x, self.read_weight(), bias, self.stride, padding, self.dilation, self.groups)
        return y if scale is None else self._scaled(y, scale)

    def _input_scale(self, x: Tensor) -> Tensor | None:
        """K = A ∗ k (XNOR-Net eq. 10): A = mean |x| over a group's channels, k = 1/(Kh·Kw)."""
        if not self.quantizes_input or self.method.activation.scale == "none":
            return None
        a = x.unflatten(1, (self.groups, -1)).abs().mean(dim=2)  # N G H W
        kh, kw = self.kernel_size
        box = a.new_full((self.groups, 1, kh, kw), 1 / (kh * kw))
        k = F.conv2d(a, box, None, self.stride, self.padding, self.dilation, self.groups)
        return k if self.groups == 1 else k.repeat_interleave(self.out_channels // self.groups, dim=1)

    def _scaled(self, y: Tensor, scale: Tensor) -> Tensor:
        y = y * scale
        return y if self.bias is None else y + self.bias.view(-1, 1, 1)


class BinaryLinear(_Binary, nn.Linear):
    """Product of N×I with a quantized O×I weight."""

    def __init__(
        self, inputs: int, outputs: int, *, method: Method, role: Role, dropout: float = 0.0, bias: bool = True
    ) -> None:
        nn.Linear.__init__(self, inputs, outputs, bias=bias)
        self._adopt(method, role, dropout)

    def forward(self, input: Tensor) -> Tensor:
        """N×I → N×O."""
        x = self.read_input(input)
        if not self.quantizes_input or self.method.activation.scale == "none":
            return F.linear(x, self.read_weight(), self.bias)
        y = F.linear(x, self.read_weight()) * input.abs().mean(dim=1, keepdim=True)
        return y if self.bias is None else y + self.bias


BinaryLayer = BinaryConv2d | BinaryLinear

# The layer registry: kind → (real layer, binary layer).
LAYERS: dict[str, tuple[type[nn.Module], type[BinaryLayer]]] = {
    "conv": (nn.Conv2d, BinaryConv2d),
    "linear": (nn.Linear, BinaryLinear),
}


def binary_layers(model: nn.Module) -> Iterator[tuple[str, BinaryLayer]]:
    """Every layer with quantized weights, by name, in the network's order."""
    for name, module in model.named_modules():
        if isinstance(module, BinaryLayer) and module.binarizes:
            yield name, module
