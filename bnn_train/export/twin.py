"""The torch network that the packed file must equal: the trained one, rounded as the options say."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnn_train.binary.layers import BinaryLayer, binary_layers
from bnn_train.export.first import Affine, Pixels, absorbs, affine, per_input
from bnn_train.export.graph import Graph, Op, Shape, key_of
from bnn_train.export.options import DIGITS, Options
from bnn_train.export.trace import trace
from bnn_train.export.weights import quantized_weight, real_weight, whole


@dataclass(frozen=True)
class Twin:
    """The network to export, and sentences on what the options did or could not do."""

    model: nn.Module
    notes: list[str] = field(default_factory=list)


def twin(model: nn.Module, shape: Shape, pixels: Sequence[Pixels], options: Options) -> Twin:
    """A copy of a network that computes what the packed file will."""
    result = Twin(copy.deepcopy(model).eval())
    _signs(result, options)
    graph = trace(result.model, shape).graph
    folded = affine(pixels, shape[0])
    products = [op for op in graph.ops if op.kind == "product"]
    readers = graph.image.users if absorbs(graph, folded) else []
    for op in products:
        if op in readers and folded is not None:
            _first(op, folded, options, result)
        elif op is products[-1]:
            _last(op, options, result)
        elif options.real == "bf16" and _is_real(op):
            _round_bf16(op)
    _tell(result, graph, options)
    return result


def _is_real(op: Op) -> bool:
    """Whether an operation multiplies real inputs with real weights."""
    return op.kind == "product" and key_of(op) is None and quantized_weight(op) is None


def _signs(result: Twin, options: Options) -> None:
    """Deterministic signs where the method draws them, or where ``binarize`` asks for them."""
    latent = [layer for _, layer in binary_layers(result.model) if layer.reads_latent]
    for _, layer in binary_layers(result.model):
        if options.binarize or (not layer.reads_latent and _draws(layer)):
            spec = layer.method.weight
            quantizer = "sign" if _draws(layer) else spec.quantizer
            spec = spec.model_copy(update={"evaluate": "binary", "quantizer": quantizer})
            layer.method = layer.method.model_copy(update={"weight": spec})
    if latent and not options.binarize:
        result.notes.append(
            f"{len(latent)} layers are evaluated with their latent, real weights and stored so: the file is"
            " not smaller than the network; --binarize stores their signs, at a loss"
        )
    elif options.binarize and not latent:
        result.notes.append("--binarize: nothing to do, no layer is evaluated with latent weights")


def _draws(layer: BinaryLayer) -> bool:
    return layer.method.weight.quantizer == "stochastic_sign"


def _first(op: Op, pixels: Affine, options: Options, result: Twin) -> None:
    if quantized_weight(op) is not None:
        if options.first != "int24":
            result.notes.append(
                f"--first-layer {options.first}: nothing to do, {op.layer} has binary weights"
            )
    elif options.first != "int24":
        factor = per_input(op, pixels.factor)
        numbers, scale = whole(real_weight(op) * factor, DIGITS[options.first])
        _store(op, numbers * scale.astype(np.float64)[:, None, None, None] / factor)


def _last(op: Op, options: Options, result: Twin) -> None:
    if options.last == "f32":
        return
    if not _is_real(op):
        result.notes.append(f"--last-layer {options.last}: nothing to do, {op.layer} has binary weights")
    elif options.last == "bf16":
        _round_bf16(op)
    else:
        numbers, scale = whole(real_weight(op), 1)
        _store(op, numbers * scale.astype(np.float64)[:, None, None, None])
        result.model.set_submodule(op.layer, _rounding(op.module))


def _round_bf16(op: Op) -> None:
    weight = _weight(op)
    weight.data = weight.data.to(torch.bfloat16).to(torch.float32)


def _store(op: Op, weight: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
    """Put back a weight O×Kh×Kw×I in the layer's own layout."""
    own = _weight(op)
    own.data.copy_(torch.from_numpy(weight.transpose(0, 3, 1, 2).copy()).reshape(own.shape))


def _weight(op: Op) -> Tensor:
    return op.module.weight  # type: ignore[union-attr, return-value]  # a product's module has one


def _tell(result: Twin, graph: Graph, options: Options) -> None:
    products = [op for op in graph.ops if op.kind == "product"]
    if all(quantized_weight(op) is None for op in products):
        result.notes.append(
            "nothing in this network is binary as it is stored: every weight is a real number"
        )
    if options.real != "f32" and not any(_is_real(op) for op in products[1:-1]):
        result.notes.append(
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
