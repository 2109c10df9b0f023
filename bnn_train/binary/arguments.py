"""The arguments of a binary layer: a mistake is answered where the layer is made, not at its first batch."""

from __future__ import annotations

from difflib import get_close_matches
from typing import get_args

import torch

from bnn_train.config.plugins import load_plugins
from bnn_train.spec.method import Method, Role, WeightSpec
from bnn_train.spec.methods import METHODS
from bnn_train.spec.pre import AsItIs

Border = tuple[int, int, int, int]
"""Padded pixels: left, right, top, bottom, as ``F.pad`` takes them."""


def method_of(method: Method | str) -> Method:
    """A row, or that of a name. Raises ValueError for a name that no row has, TypeError for anything else."""
    if isinstance(method, Method):
        return method
    if not isinstance(method, str):
        raise TypeError(f"method must be a Method or the name of one, not {type(method).__name__}")
    load_plugins()
    if method not in METHODS:
        near = get_close_matches(method, METHODS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(METHODS)}"
        raise ValueError(f"method {method!r} does not exist; {hint}")
    return METHODS[method]


def check_layer(role: str, dtype: torch.dtype, dropout: float) -> None:
    """Raises ValueError or TypeError for what no binary layer can do."""
    if role not in get_args(Role):
        raise ValueError(f"role must be one of {', '.join(get_args(Role))}, not {role!r}")
    if not dtype.is_floating_point:
        raise TypeError(f"dtype must be a real floating-point type, since weights are latent; not {dtype}")
    if not 0 <= dropout <= 1:
        raise ValueError(f"dropout is a probability, from 0 to 1; not {dropout}")


def copied(weight: WeightSpec, shape: tuple[int, ...]) -> WeightSpec:
    """The options for a weight O×I×…: those of the method, without copies where its channels or its kernel
    allow none (3×3 or 1×1 taps, channels that the number of copies divides)."""
    outputs, inputs, *kernel = shape
    copies = weight.pre.copied
    allowed = tuple(kernel) in ((), (1, 1), (3, 3)) and outputs % copies == 0 and inputs % copies == 0
    return weight if copies == 1 or allowed else weight.model_copy(update={"pre": AsItIs()})


def border_of(padding: str | tuple[int, ...], kernel: tuple[int, ...], dilation: tuple[int, ...]) -> Border:
    """The pixels around the map, as torch's convolution pads: the odd one of ``same`` right and below."""
    if isinstance(padding, str):
        totals = [d * (k - 1) if padding == "same" else 0 for d, k in zip(dilation, kernel, strict=True)]
        (top, bottom), (left, right) = ((total // 2, total - total // 2) for total in totals)
        return left, right, top, bottom
    top, left = padding
    if min(padding) < 0:
        raise ValueError(f"padding must not be negative, as {padding} is")
    return left, left, top, top


def check_padding(method: Method, border: Border, mode: str) -> None:
    """Raises ValueError where the taps around a quantized map cannot hold what the method asks for."""
    value = method.padding
    if not value or not any(border):
        return
    if mode != "zeros":
        raise ValueError(
            f"padding_mode {mode!r} and method.padding {value:+d} both say what stands around the map;"
            " use padding_mode 'zeros', or a method whose padding is 0"
        )
    quantizer, scale = method.activation.quantizer, method.output_scale
    if not quantizer.signs:
        raise ValueError(
            f"method.padding {value:+d} belongs to signs; {quantizer.name} activations are padded with 0"
        )
    if scale.pads_zeros:
        raise ValueError(
            f"method.padding {value:+d} cannot go with output_scale {scale.name}, which averages zeros"
            " around the map; use a method whose padding is 0"
        )
