"""Products of signs with signs on the packed kernels: the forward pass of training on a CPU.

The operator ``bnn_train::signs_product`` gives what ``conv2d`` of the same ±1 tensors gives, bit for bit: the
sum is a whole number below 2²⁴, and the one multiplication by the scale is rounded as PyTorch rounds it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bnn_train.binary.training_kernel import exporting, kernel
from bnn_train.packed.native_abi import Flat
from bnn_train.packed.native_library import library
from bnn_train.packed.program import (
    BitWeight,
    Code,
    Conv,
    Epilogue,
    Geometry,
    Map,
    Program,
    Thresholds,
    Value,
)
from bnn_train.packed.shapes import output_size


class _Shape(NamedTuple):
    height: int
    width: int
    inputs: int
    outputs: int
    scaled: bool
    geometry: Geometry


@lru_cache(maxsize=512)
def _program(shape: _Shape) -> Program:
    """Real map → signs → product → real map."""
    height, width = output_size(shape.geometry, shape.height, shape.width)
    return Program(
        values=(
            Value(type="f32", height=shape.height, width=shape.width, channels=shape.inputs),
            Value(type="bits", height=shape.height, width=shape.width, channels=shape.inputs, code=Code()),
            Value(type="f32", height=height, width=width, channels=shape.outputs),
        ),
        steps=(
            Map(layer="sign", input=0, bits=1, thresholds=Thresholds(tensor="zero")),
            Conv(
                layer="product",
                input=1,
                output=2,
                weight=BitWeight(tensor="weight"),
                geometry=shape.geometry,
                epilogue=Epilogue(scale="scale" if shape.scaled else None),
            ),
        ),
        output=2,
    )


def serves(x: Tensor, codes: Tensor, padding: Sequence[int], dilation: Sequence[int]) -> bool:
    """Whether the operator can take this product: float32 on the CPU, some images, kernels to run it, no more
    padding than a kernel's half, and no exporter that listens: other programs know convolutions, not this."""
    reach = [d * (k - 1) for d, k in zip(dilation, codes.shape[2:], strict=False)]
    return (
        x.device.type == "cpu"
        and x.dtype == codes.dtype == torch.float32
        and kernel() is not None
        and x.numel() > 0
        and all(2 * p <= r for p, r in zip(padding, reach, strict=False))
        and not exporting()
    )


OPERATOR = "bnn_train::signs_product"
# by its schema, since ``torch.library.custom_op`` imports the compiler at the first call, which takes seconds
torch.library.define(
    OPERATOR,
    "(Tensor x, Tensor codes, Tensor? scale, SymInt[] stride, SymInt[] padding, SymInt[] dilation,"
    " SymInt groups) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)


@torch.library.impl(OPERATOR, "cpu")
def _multiplied(
    x: Tensor,
    codes: Tensor,
    scale: Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
) -> Tensor:
    """(x ∗ codes)·scale: N×I×H×W with O×I/groups×Kh×Kw → N×O×H′×W′; padded taps count as 0.

    ``x``: float32; what is below 0 counts as −1, anything else as +1. ``codes``: likewise. ``scale``: O, or
    None for 1. In the memory format of ``x``. Not differentiable: ``product`` owns the gradient. Raises
    RuntimeError, as PyTorch does, where the channels do not fit.
    """
    outputs, inner, kh, kw = codes.shape
    if x.shape[1] != inner * groups:
        raise RuntimeError(f"expected {inner * groups} input channels, not {x.shape[1]}")
    geometry = Geometry(
        kernel=(kh, kw), stride=_pair(stride), padding=_pair(padding), dilation=_pair(dilation), groups=groups
    )
    n, inputs, height, width = x.shape
    if min(output_size(geometry, height, width)) < 1:
        raise RuntimeError(f"the kernel of {kh}×{kw} is larger than the padded map of {height}×{width}")
    program = _program(_Shape(height, width, inputs, outputs, scale is not None, geometry))
    tensors = {"zero": _zeros(inputs), "weight": _rows(codes)}
    if scale is not None:
        tensors["scale"] = scale.contiguous().numpy()
    y = _empty(n, program)
    pixels = x.permute(0, 2, 3, 1).contiguous()
    kernels = library()
    handle = kernels.create(Flat(program, tensors), str(kernel()))
    try:
        kernels.run(handle, pixels.data_ptr(), n, y.data_ptr(), torch.get_num_threads())
    finally:
        kernels.destroy(handle)
    return y.contiguous(memory_format=_format(x))


@torch.library.register_fake(OPERATOR)  # type: ignore[untyped-decorator]  # in torch
def _shaped(
    x: Tensor,
    codes: Tensor,
    scale: Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
) -> Tensor:
    outputs, _, kh, kw = codes.shape
    sizes = [
        (size + 2 * p - d * (k - 1) - 1) // s + 1
        for size, k, s, p, d in zip(x.shape[2:], (kh, kw), stride, padding, dilation, strict=True)
    ]
    return x.new_empty(len(x), outputs, *sizes).contiguous(memory_format=_format(x))


signs_product: Callable[..., Tensor] = torch.ops.bnn_train.signs_product.default
"""The operator; ``_multiplied`` says what it gives."""


def _format(x: Tensor) -> torch.memory_format:
    return torch.contiguous_format if x.is_contiguous() else torch.channels_last


def _pair(values: list[int]) -> tuple[int, int]:
    first, second = values
    return first, second


@lru_cache(maxsize=64)
def _zeros(channels: int) -> NDArray[Any]:
    return np.zeros((1, channels), np.float32)


def _rows(codes: Tensor) -> NDArray[Any]:
    """The signs as a packed file has them: 1×O×⌈n/8⌉ bytes."""
    filters = (codes < 0).permute(0, 2, 3, 1).reshape(len(codes), -1)
    return np.packbits(filters.numpy(), axis=1, bitorder="little")[None]


def _empty(n: int, program: Program) -> Tensor:
    value = program.values[program.output]
    shape = (n, value.channels, value.height, value.width)
    return torch.empty(shape, dtype=torch.float32, memory_format=torch.channels_last)
