"""The binary layers: float layers whose weight and input pass through the method's quantizers on read.

The parameter stays the latent weight. What the product sees is made anew at each forward pass, so
that neither the optimizer nor an evaluation ever meets a half-restored weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnn_train.binary.arguments import border_of, check_padding
from bnn_train.binary.geometry import Geometry
from bnn_train.binary.input_quantizer import InputQuantizer
from bnn_train.binary.quantized_layer import QuantizedLayer
from bnn_train.spec.method import Method, Role


class BinaryConv2d(QuantizedLayer, nn.Conv2d):
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
        self._adopt(method, role, dropout, channel_dropout, in_channels)
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
        inputs, quantizer = self.input_quantizer, self.weight_quantizer
        if inputs is None:
            y: Tensor = self._conv_forward(self.read_input(x), self.read_weight(), self.bias)
            return y
        if quantizer is None or self.reads_latent:
            y = self._real_product(self.read_input(x), inputs)
        else:
            codes, factors = self._coded(x, inputs)
            codes, geometry, zeros = self._around(codes, inputs.bases)
            y = self._multiplied(codes, factors, quantizer, inputs, geometry, zeros=zeros)
        scale = self.input_scale(x)
        if scale is not None:
            y = y * self._over_outputs(scale)
        y = self.output_scale.scaled(y)
        return y if self.bias is None else y + self.bias.view(-1, 1, 1)

    def _real_product(self, x: Tensor, inputs: InputQuantizer) -> Tensor:
        """Of x̂ with the latent weight."""
        if self._pads and self.padding_mode == "zeros":
            x = inputs.padded(x, self.border, self.method.padding)
            return F.conv2d(x, self.weight, None, self.stride, 0, self.dilation, self.groups)
        x, geometry = self._padded(x, self.method.padding)
        return F.conv2d(x, self.weight, None, *geometry)

    def _over_outputs(self, scale: Tensor) -> Tensor:
        """N×groups×H′×W′ spread over the outputs of each group."""
        return scale if self.groups == 1 else scale.repeat_interleave(self.out_channels // self.groups, dim=1)

    def input_scale(self, x: Tensor) -> Tensor | None:
        """N×groups×H′×W′: what the output is multiplied with, measured on the input; None for nothing."""
        return self.output_scale.of_map(x, self.groups, self.kernel_size, self._zero_padded)

    @property
    def _walk(self) -> Geometry:
        left, _, top, _ = self.border
        return Geometry(self.stride, (top, left), self.dilation, self.groups)

    @property
    def _pads(self) -> bool:
        """Whether the map is padded before the convolution, which itself pads only with zeros, and evenly."""
        left, right, top, bottom = self.border
        even = (left, top) == (right, bottom)
        return any(self.border) and not (even and self.method.padding == 0 and self.padding_mode == "zeros")

    def _padded(self, x: Tensor, value: int) -> tuple[Tensor, Geometry]:
        """The map and what stands around it, ``value`` under ``zeros``; what is left to the convolution."""
        if not self._pads:
            return x, self._walk
        if self.padding_mode == "zeros":
            x = F.pad(x, self.border, value=float(value))
        else:
            x = F.pad(x, self.border, mode=self.padding_mode)
        return x, Geometry(self.stride, (0, 0), self.dilation, self.groups)

    def _zero_padded(self, x: Tensor) -> tuple[Tensor, Geometry]:
        return self._padded(x, 0)

    def _around(self, codes: Tensor, bases: int) -> tuple[Tensor, Geometry, bool]:
        """Codes with what stands around the map, what is left to the product, whether zeros are among
        them."""
        zeros = self._pads and not self.method.padding and self.padding_mode == "zeros"
        if not bases:
            return *self._padded(codes, self.method.padding), zeros
        padded, geometry = self._padded(codes.flatten(0, 1), self.method.padding)
        return torch.unflatten(padded, 0, (bases, -1)), geometry, zeros


class BinaryLinear(QuantizedLayer, nn.Linear):
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
        self._adopt(method, role, dropout, channel_dropout, in_features)

    def forward(self, input: Tensor) -> Tensor:
        """N×…×I → N×…×O."""
        if self.input_quantizer is None:
            return F.linear(self.read_input(input), self.read_weight(), self.bias)
        if input.dim() == 2:
            return self._rows(input, self.input_quantizer)
        rows = self._rows(input.reshape(-1, input.shape[-1]), self.input_quantizer)
        return rows.view(*input.shape[:-1], self.out_features)

    def _rows(self, x: Tensor, inputs: InputQuantizer) -> Tensor:
        """N×I → N×O."""
        quantizer = self.weight_quantizer
        if quantizer is None or self.reads_latent:
            y = F.linear(self.read_input(x), self.weight)
        else:
            y = self._multiplied(*self._coded(x, inputs), quantizer, inputs)
        scale = self.input_scale(x)
        if scale is not None:
            y = y * scale
        y = self.output_scale.scaled(y)
        return y if self.bias is None else y + self.bias

    def input_scale(self, x: Tensor) -> Tensor | None:
        """N×…×1: what the output is multiplied with, measured on the input; None for nothing."""
        return self.output_scale.of_features(x)


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
