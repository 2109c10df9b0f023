"""The binary layers: float layers whose weight and input pass through the method's quantizers on read.

The parameter stays the latent weight. What the product sees is made anew at each forward pass, so
that neither the optimizer nor an evaluation ever meets a half-restored weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnn_train.binary.activations import quantize_input, unit_of
from bnn_train.binary.product import SIGNS, Geometry, product
from bnn_train.binary.spec import Method, Role
from bnn_train.binary.weights import filter_dims, l1, quantize, quantize_weight


class _Binary(nn.Module):
    """What both layers share; mixed in before the float parent."""

    weight: Tensor
    alpha: nn.Parameter | None
    """A learned α: O numbers, or one for the layer."""
    method: Method
    role: Role
    dropout: float
    channel_dropout: bool

    def _adopt(self, method: Method, role: Role, dropout: float, channel_dropout: bool) -> None:
        self.method, self.role = method, role
        self.dropout, self.channel_dropout = dropout, channel_dropout
        scale = method.weight.scale
        count = 1 if scale.granularity == "layer" else len(self.weight)
        learns = scale.kind == "learned" and self.binarizes
        self.register_parameter("alpha", nn.Parameter(torch.ones(count)) if learns else None)

    @torch.no_grad()
    def start_alpha(self) -> None:
        """Set a learned α to mean |w|, the best one for the weights as they are."""
        if self.alpha is not None:
            dims = filter_dims(self.weight, self.method.weight)
            self.alpha.copy_(l1(self.weight, self.weight, dims).flatten())

    @property
    def quantizes_input(self) -> bool:
        """Whether the product sees quantized activations; the first layer reads the image as it is."""
        return self.method.quantizes_input(self.role)

    @property
    def binarizes(self) -> bool:
        """Whether the product sees quantized weights."""
        return self.method.binarizes(self.role)

    @property
    def reads_latent(self) -> bool:
        """Whether this pass multiplies with the latent weight itself."""
        return not self.binarizes or (not self.training and self.method.weight.evaluate == "latent")

    def read_weight(self) -> Tensor:
        """The weight of this forward pass: quantized, or latent where the method evaluates so."""
        if self.reads_latent:
            return self.weight
        spec, centered = self.method.weight, self.method.latent.center
        return quantize_weight(self.weight, spec, centered=centered, learned=self.alpha)

    def read_input(self, x: Tensor, *, codes: bool = False) -> Tensor:
        """The input of this forward pass (or its whole-number codes), then dropped out."""
        if self.quantizes_input:
            x = quantize_input(x, self.method.activation, training=self.training, codes=codes)
        if not self.dropout:
            return x
        return (F.dropout2d if self.channel_dropout else F.dropout)(x, self.dropout, self.training)

    def _exact_product(self, codes: Tensor, geometry: Geometry | None = None) -> Tensor:
        method = self.method
        return product(
            codes,
            self.weight,
            method.weight,
            unit=unit_of(method.activation),
            centered=method.latent.center,
            geometry=geometry,
            learned=self.alpha,
            signs=method.activation.quantizer in SIGNS and not (self.dropout and self.training),
        )

    @torch.no_grad()
    def codes(self) -> tuple[Tensor, Tensor | None]:
        """The deterministic codes of the weight and α, as an export stores them."""
        spec = self.method.weight
        if spec.quantizer == "stochastic_sign":
            spec = spec.model_copy(update={"quantizer": "sign"})
        return quantize(self.weight.detach(), spec, None if self.alpha is None else self.alpha.detach())

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
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        method: Method,
        role: Role,
        dropout: float = 0.0,
        channel_dropout: bool = False,
        **conv: Any,
    ) -> None:
        nn.Conv2d.__init__(self, inputs, outputs, kernel, **conv)
        self._adopt(method, role, dropout, channel_dropout)

    def forward(self, input: Tensor) -> Tensor:
        """N×I×H×W → N×O×H′×W′."""
        if not self.quantizes_input:
            y: Tensor = self._conv_forward(self.read_input(input), self.read_weight(), self.bias)
            return y
        if self.reads_latent:
            x, geometry = self._padded(self.read_input(input))
            y = F.conv2d(x, self.weight, None, *geometry)
        else:
            y = self._exact_product(*self._padded(self.read_input(input, codes=True)))
        if self.method.activation.scale == "xnor_k":
            y = y * self._input_scale(input)
        return y if self.bias is None else y + self.bias.view(-1, 1, 1)

    def _padded(self, x: Tensor) -> tuple[Tensor, Geometry]:
        """The input with the method's padding value around it, and what is left to the convolution."""
        top, left = (int(p) for p in self.padding)
        value = self.method.padding
        if value == 0 or (top, left) == (0, 0):
            return x, Geometry(self.stride, (top, left), self.dilation, self.groups)
        padded = F.pad(x, (left, left, top, top), value=float(value))
        return padded, Geometry(self.stride, (0, 0), self.dilation, self.groups)

    def _input_scale(self, x: Tensor) -> Tensor:
        """K = A ∗ k (XNOR-Net eq. 10): A = mean |x| over a group's channels, k = 1/(Kh·Kw).

        N×(1 or O)×H′×W′.
        """
        a = torch.unflatten(x, 1, (self.groups, -1)).abs().mean(dim=2)  # N G H W
        kh, kw = self.kernel_size
        box = a.new_full((self.groups, 1, kh, kw), 1 / (kh * kw))
        k = F.conv2d(a, box, None, self.stride, self.padding, self.dilation, self.groups)
        return k if self.groups == 1 else k.repeat_interleave(self.out_channels // self.groups, dim=1)


class BinaryLinear(_Binary, nn.Linear):
    """Product of N×I with a quantized O×I weight."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        method: Method,
        role: Role,
        dropout: float = 0.0,
        channel_dropout: bool = False,
        bias: bool = True,
    ) -> None:
        nn.Linear.__init__(self, inputs, outputs, bias=bias)
        self._adopt(method, role, dropout, channel_dropout)

    def forward(self, input: Tensor) -> Tensor:
        """N×I → N×O."""
        if not self.quantizes_input:
            return F.linear(self.read_input(input), self.read_weight(), self.bias)
        if self.reads_latent:
            y = F.linear(self.read_input(input), self.weight)
        else:
            y = self._exact_product(self.read_input(input, codes=True))
        if self.method.activation.scale == "xnor_k":
            y = y * input.abs().mean(dim=1, keepdim=True)
        return y if self.bias is None else y + self.bias


BinaryLayer = BinaryConv2d | BinaryLinear

# The layer registry: kind → (real layer, binary layer).
LAYERS: dict[str, tuple[Callable[..., nn.Module], Callable[..., BinaryLayer]]] = {
    "conv": (nn.Conv2d, BinaryConv2d),
    "linear": (nn.Linear, BinaryLinear),
}


def binary_layers(model: nn.Module) -> Iterator[tuple[str, BinaryLayer]]:
    """Every layer with quantized weights, by name, in the network's order."""
    for name, module in model.named_modules():
        if isinstance(module, BinaryLayer) and module.binarizes:
            yield name, module
