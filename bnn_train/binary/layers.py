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
from bnn_train.binary.placed import parts
from bnn_train.binary.quantized_layer import QuantizedLayer
from bnn_train.binary.real_product import real_product
from bnn_train.binary.weight_quantizer import WeightQuantizer
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
            return self.output_gradient(self._convolved(input.unsqueeze(0))).squeeze(0)  # type: ignore[no-any-return]  # modules return Any
        if input.dim() != 4:
            raise RuntimeError(f"expected N×C×H×W or C×H×W input, not {input.dim()} axes")
        return self.output_gradient(self._convolved(input))  # type: ignore[no-any-return]  # modules return Any

    def _convolved(self, x: Tensor) -> Tensor:
        inputs, quantizer = self.input_quantizer, self.weight_quantizer
        if inputs is None:
            return self._of_real(self.read_input(x))
        if inputs.quantizer.by_window:
            y = self._windowed(x, inputs)
        elif quantizer is None or self.reads_latent:
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

    def _of_real(self, x: Tensor) -> Tensor:
        """The product with an input that is as it came."""
        left, right, top, bottom = self.border
        even = self.padding_mode == "zeros" and (left, top) == (right, bottom)
        quantizer = self.sums_real(x, self._walk) if even else None
        if quantizer is None:
            convolved: Tensor = self._conv_forward(x, self.read_weight(), self.bias)
            return convolved
        y = real_product(x, self.weight, quantizer, self._walk)
        return y if self.bias is None else y + self.bias.view(-1, 1, 1)

    def columns(self, x: Tensor) -> Tensor:
        """N×C×H×W → N×(H′·W′)×n: the numbers under a filter at every place of the output, as the product sees
        them."""
        x, geometry = self._padded(self.read_input(x), self.method.padding if self.quantizes_input else 0)
        columns = F.unfold(x, self.kernel_size, geometry.dilation, geometry.padding, geometry.stride)
        return columns.transpose(1, 2)

    def _real_product(self, x: Tensor, inputs: InputQuantizer) -> Tensor:
        """Of x̂ with the latent weight."""
        if self._pads and self.padding_mode == "zeros":
            x = inputs.padded(x, self.border, self.method.padding)
            return F.conv2d(x, self.weight, None, self.stride, 0, self.dilation, self.groups)
        x, geometry = self._padded(x, self.method.padding)
        return F.conv2d(x, self.weight, None, *geometry)

    def windows(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The windows of a map, each a map of its own, one after the other: N·H′·W′×I×Kh×Kw; and 0 on taps
        that lie outside, else 1."""
        inside = self._cut(torch.ones_like(x[:1, :1])).repeat(len(x), 1, 1, 1) if any(self.border) else None
        return self._cut(x), inside

    def _cut(self, x: Tensor) -> Tensor:
        padded, walk = self._zero_padded(x)
        columns = F.unfold(padded, self.kernel_size, walk.dilation, walk.padding, walk.stride)
        return columns.transpose(1, 2).reshape(-1, x.shape[1], *self.kernel_size)

    def dropped_windows(self, codes: Tensor, x: Tensor) -> Tensor:
        """Codes of windows, those of dropped numbers of their map 0."""
        return codes * self.windows(self._dropped(torch.ones_like(x)))[0] if self.dropout else codes

    def joined(self, y: Tensor, x: Tensor) -> Tensor:
        """Results of windows N·H′·W′×O×1×1 as the map N×O×H′×W′."""
        left, right, top, bottom = self.border
        sizes = (x.shape[2] + top + bottom, x.shape[3] + left + right)
        settings = zip(sizes, self.kernel_size, self.stride, self.dilation, strict=True)
        height, width = ((size - (k - 1) * d - 1) // s + 1 for size, k, s, d in settings)
        return y.view(len(x), height, width, y.shape[1]).permute(0, 3, 1, 2)

    def _windowed(self, x: Tensor, inputs: InputQuantizer) -> Tensor:
        """The product where each window has factors of its own."""
        u, quantizer = inputs.prepared(x), self.weight_quantizer
        patches, inside = self.windows(u)
        codes, factors = inputs.quantizer.windowed(patches, inside, inputs.estimator, drawn=self.training)
        codes, alone = self.dropped_windows(codes, u), Geometry((1, 1), (0, 0), (1, 1), self.groups)
        if quantizer is None or self.reads_latent:
            seen = (codes * factors).sum(dim=0)
            y = F.conv2d(seen, self.weight, groups=self.groups)
        else:
            zeros = inside is not None
            y = self._multiplied(codes, factors, quantizer, inputs, alone, zeros=zeros)
        return self.joined(y, u)

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
        return self.output_gradient(self._multiply(input))  # type: ignore[no-any-return]  # modules return Any

    def _multiply(self, x: Tensor) -> Tensor:
        if self.input_quantizer is None:
            return self._of_real(self.read_input(x))
        if x.dim() == 2:
            return self._rows(x, self.input_quantizer)
        rows = self._rows(x.reshape(-1, x.shape[-1]), self.input_quantizer)
        return rows.view(*x.shape[:-1], self.out_features)

    def _of_real(self, x: Tensor) -> Tensor:
        """The product with an input that is as it came."""
        quantizer = self.sums_real(x, None) if x.dim() == 2 else None
        if quantizer is None:
            return F.linear(x, self.read_weight(), self.bias)
        y = real_product(x, self.weight, quantizer, None)
        return y if self.bias is None else y + self.bias

    def columns(self, x: Tensor) -> Tensor:
        """N×…×I → N×L×I: the numbers under a filter, as the product sees them."""
        return self.read_input(x).reshape(len(x), -1, self.in_features)

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


def quantized_layers(model: nn.Module) -> Iterator[tuple[BinaryLayer, WeightQuantizer]]:
    """Every layer with quantized weights and its quantizer, in the network's order."""
    for module in parts(model):
        if isinstance(module, BinaryLayer) and module.weight_quantizer is not None:
            yield module, module.weight_quantizer


def binary_layers(model: nn.Module) -> Iterator[tuple[str, BinaryLayer]]:
    """Every layer with quantized weights, by name, in the network's order."""
    for name, module in model.named_modules():
        if isinstance(module, BinaryLayer) and module.binarizes:
            yield name, module
