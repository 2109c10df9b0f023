"""The rounding of real weights as the options of an export say, in the network that the packed file must
equal."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnn_train.binary.layers import binary_layers
from bnn_train.binary.output_scales import OutputScale
from bnn_train.binary.quantizers import Quantizer
from bnn_train.errors import ExportError
from bnn_train.export.first import Affine, absorbs, per_input
from bnn_train.export.graph import Op, key_of
from bnn_train.export.options import DIGITS, Options
from bnn_train.export.trace import Traced
from bnn_train.export.weights import quantized_weight, real_weight, whole


def deterministic(model: nn.Module, options: Options) -> tuple[nn.Module, list[str]]:
    """A copy of a network in evaluation mode that draws no signs, with those of latent weights if the options
    ask for them; and a sentence on each option that did something, or could not."""
    result = copy.deepcopy(model).eval()
    _refuse(result)
    quantizers = [layer.weight_quantizer for _, layer in binary_layers(result) if layer.weight_quantizer]
    latent = [quantizer for quantizer in quantizers if quantizer.evaluates_latent]
    for quantizer in quantizers:
        if options.binarize or not quantizer.evaluates_latent:
            quantizer.draws = quantizer.evaluates_latent = False
    if latent and not options.binarize:
        return result, [
            f"{len(latent)} layers are evaluated with their latent, real weights and stored so: the file is"
            " not smaller than the network; --binarize stores their signs, at a loss"
        ]
    if options.binarize and not latent:
        return result, ["--binarize: nothing to do, no layer is evaluated with latent weights"]
    return result, []


def _refuse(model: nn.Module) -> None:
    """Raise ExportError for the first layer whose codes or factors no packed file can hold."""
    for name, module in model.named_modules():
        if isinstance(module, OutputScale) and module.refusal:
            raise ExportError(f"{name.removesuffix('.output_scale')}: {module.refusal}")
        if isinstance(module, Quantizer) and module.refusal:
            raise ExportError(f"{name.partition('.weight_')[0].partition('.input_')[0]}: {module.refusal}")


def rounded(model: nn.Module, traced: Traced, pixels: Affine | None, options: Options) -> list[str]:
    """Round a network's real weights in place, in the traced one too; a sentence on each option that could do
    nothing."""
    graph, notes = traced.graph, list[str]()
    products = [op for op in graph.ops if op.kind == "product"]
    readers = graph.image.users if absorbs(graph, pixels) else []
    for op in products:
        if op in readers and pixels is not None:
            notes += _first(op, pixels, options)
        elif op is products[-1]:
            notes += _last(op, options, (model, traced.module))
        elif options.real == "bf16" and _is_real(op):
            _round_bf16(op)
    return [*notes, *_told(products, options)]


def _is_real(op: Op) -> bool:
    """Whether an operation multiplies real inputs with real weights."""
    return op.kind == "product" and key_of(op) is None and quantized_weight(op) is None


def _first(op: Op, pixels: Affine, options: Options) -> list[str]:
    if options.first == "int24":
        return []
    if quantized_weight(op) is not None:
        return [f"--first-layer {options.first}: nothing to do, {op.layer} has binary weights"]
    factor = per_input(op, pixels.factor)
    numbers, scale = whole(real_weight(op) * factor, DIGITS[options.first])
    _store(op, numbers * scale.astype(np.float64)[:, None, None, None] / factor)
    return []


def _last(op: Op, options: Options, models: tuple[nn.Module, ...]) -> list[str]:
    if options.last == "f32":
        return []
    if not _is_real(op):
        return [f"--last-layer {options.last}: nothing to do, {op.layer} has binary weights"]
    if options.last == "bf16":
        _round_bf16(op)
        return []
    numbers, scale = whole(real_weight(op), 1)
    _store(op, numbers * scale.astype(np.float64)[:, None, None, None])
    op.module = _rounding(op.module)
    for model in models:
        model.set_submodule(op.layer, op.module)
    return []


def _round_bf16(op: Op) -> None:
    weight = _weight(op)
    weight.data = weight.data.to(torch.bfloat16).to(torch.float32)


def _store(op: Op, weight: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
    """Put back a weight O×Kh×Kw×I in the layer's own layout."""
    own = _weight(op)
    own.data.copy_(torch.from_numpy(weight.transpose(0, 3, 1, 2).copy()).reshape(own.shape))


def _weight(op: Op) -> Tensor:
    return op.module.weight  # type: ignore[union-attr, return-value]  # a product's module has one


def _told(products: list[Op], options: Options) -> Iterator[str]:
    if all(quantized_weight(op) is None for op in products):
        yield "nothing in this network is binary as it is stored: every weight is a real number"
    if options.real != "f32" and not any(_is_real(op) for op in products[1:-1]):
        yield (
            f"--other-real-layers {options.real}: nothing to do, no layer between the ends has real weights"
        )


# ---------------------------------------------------------------- int8 on float inputs, as the program has it


def rounded_input(x: Tensor) -> tuple[Tensor, Tensor]:
    """q = rint(x·(127/m)) and m/127 with m = max |x| of each image (``program.IntWeight``)."""
    m = x.abs().amax(dim=tuple(range(1, x.dim())), keepdim=True)
    q = torch.where(m > 0, torch.round(x * (127 / m)), torch.zeros_like(x))
    return q, m / 127


class Int8Linear(nn.Linear):
    """A dense layer whose input is rounded to eight bits."""

    def forward(self, input: Tensor) -> Tensor:
        """N×I → N×O."""
        q, unit = rounded_input(input)
        y = F.linear(q, self.weight) * unit
        return y if self.bias is None else y + self.bias


class Int8Conv2d(nn.Conv2d):
    """A convolution whose input is rounded to eight bits."""

    def forward(self, input: Tensor) -> Tensor:
        """N×I×H×W → N×O×H′×W′."""
        q, unit = rounded_input(input)
        y: Tensor = self._conv_forward(q, self.weight, None) * unit
        return y if self.bias is None else y + self.bias.view(-1, 1, 1)


def _rounding(layer: nn.Module | None) -> nn.Module:
    """The same layer with a rounded input."""
    if isinstance(layer, nn.Conv2d):
        options = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")
        settings = {name: getattr(layer, name) for name in options}
        made: nn.Module = Int8Conv2d(bias=layer.bias is not None, **settings)
    elif isinstance(layer, nn.Linear):
        made = Int8Linear(layer.in_features, layer.out_features, bias=layer.bias is not None)
    else:
        raise TypeError(f"{type(layer).__name__} is no product")
    made.load_state_dict(layer.state_dict())
    return made.eval()
