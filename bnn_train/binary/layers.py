"""The binary layers: float layers whose weight and input pass through the method's quantizers on read.

The parameter stays the latent weight. What the product sees is made anew at each forward pass, so
that neither the optimizer nor an evaluation ever meets a half-restored weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnn_train.binary.activations import quantize_input, unit_of
from bnn_train.binary.arguments import border_of, check_layer, check_padding, method_of
from bnn_train.binary.inits import INITS
from bnn_train.binary.product import SIGNS, Geometry, product
from bnn_train.binary.weights import filter_dims, l1, quantize, quantize_weight
from bnn_train.spec.method import Method, Role


class _Binary(nn.Module):
    """What both layers share; mixed in before the float parent."""

    weight: Tensor
    bias: Any  # the parents declare it, and differently
    alpha: nn.Parameter | None
    """A learned α: O numbers, or one for the layer."""
    method: Method
    role: Role
    dropout: float
    channel_dropout: bool

    def _adopt(self, method: Method | str, role: Role, dropout: float, channel_dropout: bool) -> None:
        check_layer(role, self.weight.dtype, dropout)
        self.method, self.role = method_of(method), role
        self.dropout, self.channel_dropout = dropout, channel_dropout
        scale = self.method.weight.scale
        count = 1 if scale.granularity == "layer" else len(self.weight)
        learns = scale.kind == "learned" and self.binarizes
        self.register_parameter("alpha", nn.Parameter(self.weight.new_ones(count)) if learns else None)
        self.initialise()

    @torch.no_grad()
    def initialise(self) -> None:
        """Draw the latent weights as the method says, set a learned α to the best one for them, the bias to
        0. A new layer has been through this; with neither weight nor input quantized it is its parent."""
        if not (self.binarizes or self.quantizes_input):
            return
        INITS[self.method.latent.init](self, self.weight)
        self.start_alpha()
        if self.bias is not None:
            self.bias.zero_()

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

    def _exact_product(self, codes: Tensor, geometry: Geometry | None = None, zeros: bool = False) -> Tensor:
        """``zeros``: there are codes 0 among the signs."""
        method = self.method
        return product(
            codes,
            self.weight,
            method.weight,
            unit=unit_of(method.activation),
            centered=method.latent.center,
            geometry=geometry,
            learned=self.alpha,
            signs=method.activation.quantizer in SIGNS and not zeros and not (self.dropout and self.training),
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
    """Convolution of N×I×H×W (or I×H×W) with a quantized O×I×Kh×Kw weight.

    Takes what ``nn.Conv2d`` takes, and a ``method``, or its name, with the ``role`` that decides what it
    quantizes here. Around a quantized map stands ``method.padding``, or what ``padding_mode`` makes of the
    signs. After each step of an optimizer, ``latent.enforce`` must hold the method's latent rules.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | Literal["same", "valid"] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        method: Method | str,
        role: Role,
        dropout: float = 0.0,
        channel_dropout: bool = False,
    ) -> None:
        nn.Conv2d.__init__(
            self,
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )
        self._adopt(method, role, dropout, channel_dropout)
        self.border = border_of(self.padding, self.kernel_size, self.dilation)
        if self.quantizes_input:
            check_padding(self.method, self.border, self.padding_mode)

    def forward(self, input: Tensor) -> Tensor:
        """N×I×H×W → N×O×H′×W′, and one image I×H×W → O×H′×W′."""
        if input.dim() == 3:
            return self._convolved(input.unsqueeze(0)).squeeze(0)
        if input.dim() != 4:
            raise RuntimeError(f"expected N×C×H×W or C×H×W input, not {input.dim()} axes")
        return self._convolved(input)

    def _convolved(self, x: Tensor) -> Tensor:
        if not self.quantizes_input:
            y: Tensor = self._conv_forward(self.read_input(x), self.read_weight(), self.bias)
            return y
        if self.reads_latent:
            codes, geometry = self._padded(self.read_input(x), self.method.padding)
            y = F.conv2d(codes, self.weight, None, *geometry)
        else:
            codes, geometry = self._padded(self.read_input(x, codes=True), self.method.padding)
            zeros = self._pads and not self.method.padding and self.padding_mode == "zeros"
            y = self._exact_product(codes, geometry, zeros)
        if self.method.activation.scale == "xnor_k":
            y = y * self._input_scale(x)
        return y if self.bias is None else y + self.bias.view(-1, 1, 1)

    @property
    def _pads(self) -> bool:
        """Whether the map is padded before the convolution, which itself pads only with zeros, and evenly."""
        left, right, top, bottom = self.border
        even = (left, top) == (right, bottom)
        return any(self.border) and not (even and self.method.padding == 0 and self.padding_mode == "zeros")

    def _padded(self, x: Tensor, value: int) -> tuple[Tensor, Geometry]:
        """The map and what stands around it, ``value`` under ``zeros``; what is left to the convolution."""
        left, _, top, _ = self.border
        if not self._pads:
            return x, Geometry(self.stride, (top, left), self.dilation, self.groups)
        if self.padding_mode == "zeros":
            x = F.pad(x, self.border, value=float(value))
        else:
            x = F.pad(x, self.border, mode=self.padding_mode)
        return x, Geometry(self.stride, (0, 0), self.dilation, self.groups)

    def _input_scale(self, x: Tensor) -> Tensor:
        """K = A ∗ k (XNOR-Net eq. 10): A = mean |x| over a group's channels, k = 1/(Kh·Kw).

        N×(1 or O)×H′×W′.
        """
        a = torch.unflatten(x, 1, (self.groups, -1)).abs().mean(dim=2)  # N G H W
        kh, kw = self.kernel_size
        box = a.new_full((self.groups, 1, kh, kw), 1 / (kh * kw))
        a, geometry = self._padded(a, 0)
        k = F.conv2d(a, box, None, *geometry)
        return k if self.groups == 1 else k.repeat_interleave(self.out_channels // self.groups, dim=1)


class BinaryLinear(_Binary, nn.Linear):
    """Product of N×…×I (or I) with a quantized O×I weight; ``method``, ``role`` and ``latent.enforce`` as for
    ``BinaryConv2d``."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        method: Method | str,
        role: Role,
        dropout: float = 0.0,
        channel_dropout: bool = False,
    ) -> None:
        if channel_dropout:
            raise ValueError("channel_dropout drops whole maps, and a dense layer has none; leave it out")
        nn.Linear.__init__(self, in_features, out_features, bias, device, dtype)
        self._adopt(method, role, dropout, channel_dropout)

    def forward(self, input: Tensor) -> Tensor:
        """N×…×I → N×…×O."""
        if not self.quantizes_input:
            return F.linear(self.read_input(input), self.read_weight(), self.bias)
        if self.reads_latent:
            y = F.linear(self.read_input(input), self.weight)
        else:
            y = self._multiplied(self.read_input(input, codes=True))
        if self.method.activation.scale == "xnor_k":
            y = y * input.abs().mean(dim=-1, keepdim=True)
        return y if self.bias is None else y + self.bias

    def _multiplied(self, codes: Tensor) -> Tensor:
        if codes.dim() == 2:
            return self._exact_product(codes)
        rows = self._exact_product(codes.reshape(-1, codes.shape[-1]))
        return rows.view(*codes.shape[:-1], self.out_features)


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
