"""Gradients of products of signs with signs on the packed kernels: the backward pass of training on a CPU.

One operand of either gradient is signs, so that four products are one addition of a sum that stands ready in
a table (``packed/csrc/isa/look_up.h``). The result is a float32 sum in an order of its own, the same for each
number of threads and each instruction set; where all sums are whole numbers below 2²⁴ it is that of
``convolution_backward``, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bnn_train.binary.geometry import Geometry
from bnn_train.binary.signs_product import serves
from bnn_train.binary.training_kernel import kernel
from bnn_train.packed.native_abi import CSignProduct
from bnn_train.packed.native_library import library

FEWEST = 8
"""Images; of fewer, most lanes of a vector would stand idle."""
POINT = Geometry((1, 1), (0, 0), (1, 1), 1)
"""A dense layer as a convolution of one pixel."""


def serves_gradients(x: Tensor, codes: Tensor, geometry: Geometry | None) -> bool:
    """Whether the operators can take a product's gradients: ``signs_product`` serves it, in one group
    of channels, of at least ``FEWEST`` images."""
    _, padding, dilation, groups = geometry or POINT
    return groups == 1 and len(x) >= FEWEST and serves(x, codes, padding, dilation)


torch.library.define(
    "bnn_train::signs_input_gradient",
    "(Tensor g, Tensor codes, Tensor? alpha, SymInt[] size, SymInt[] stride, SymInt[] padding,"
    " SymInt[] dilation) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)
torch.library.define(
    "bnn_train::signs_weight_gradient",
    "(Tensor g, Tensor x, SymInt[] size, SymInt[] stride, SymInt[] padding, SymInt[] dilation) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)


@torch.library.impl("bnn_train::signs_input_gradient", "cpu")
def _of_input(
    g: Tensor,
    codes: Tensor,
    alpha: Tensor | None,
    size: list[int],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
) -> Tensor:
    """∂L/∂x N×I×H×W from g = ∂L/∂y N×O×H′×W′ with y = alpha[o]·(x ∗ codes), channels last. ``size``: of x.

    Of ``codes``, O×I×Kh×Kw, only the signs are read."""
    upstream, weight = _last(g), _last(codes)
    result = torch.empty(_of_pixels(size), dtype=torch.float32)
    factors = None if alpha is None else alpha.contiguous()
    library().sign_input_gradient(
        CSignProduct.of(size, codes.shape, g.shape, stride, padding, dilation),
        str(kernel()),
        (upstream.data_ptr(), weight.data_ptr(), None if factors is None else factors.data_ptr()),
        result.data_ptr(),
        torch.get_num_threads(),
    )
    return result.permute(0, 3, 1, 2)


@torch.library.impl("bnn_train::signs_weight_gradient", "cpu")
def _of_weight(
    g: Tensor, x: Tensor, size: list[int], stride: list[int], padding: list[int], dilation: list[int]
) -> Tensor:
    """∂L/∂codes O×I×Kh×Kw from g = ∂L/∂(x ∗ codes) N×O×H′×W′, channels last. ``size``: of codes.

    Of ``x``, N×I×H×W, only the signs are read."""
    upstream, pixels = _last(g), _last(x)
    result = torch.empty(_of_pixels(size), dtype=torch.float32)
    library().sign_weight_gradient(
        CSignProduct.of(x.shape, size, g.shape, stride, padding, dilation),
        str(kernel()),
        (upstream.data_ptr(), pixels.data_ptr()),
        result.data_ptr(),
        torch.get_num_threads(),
    )
    return result.permute(0, 3, 1, 2)


@torch.library.register_fake("bnn_train::signs_input_gradient")  # type: ignore[untyped-decorator]  # in torch
def _like_input(
    g: Tensor,
    codes: Tensor,
    alpha: Tensor | None,
    size: list[int],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
) -> Tensor:
    return g.new_empty(_of_pixels(size)).permute(0, 3, 1, 2)


@torch.library.register_fake("bnn_train::signs_weight_gradient")  # type: ignore[untyped-decorator]  # in torch
def _like_weight(
    g: Tensor, x: Tensor, size: list[int], stride: list[int], padding: list[int], dilation: list[int]
) -> Tensor:
    return g.new_empty(_of_pixels(size)).permute(0, 3, 1, 2)


_input_gradient: Callable[..., Tensor] = torch.ops.bnn_train.signs_input_gradient.default
_weight_gradient: Callable[..., Tensor] = torch.ops.bnn_train.signs_weight_gradient.default


def input_gradient(
    g: Tensor, x: Tensor, codes: Tensor, alpha: Tensor | None, geometry: Geometry | None
) -> Tensor:
    """∂L/∂x in the shape of ``x``, N×I×H×W or N×I, from g = ∂L/∂(alpha·(x ∗ codes)). ``alpha``: of filters,
    O×1×…, or of the layer, 1×1×…, or None."""
    if geometry is None:
        return input_gradient(_map(g), _map(x), _map(codes), alpha, POINT).flatten(1)
    stride, padding, dilation, _ = geometry
    factors = None if alpha is None else alpha.expand(len(codes), *alpha.shape[1:]).flatten()
    return _input_gradient(g, codes, factors, list(x.shape), list(stride), list(padding), list(dilation))


def weight_gradient(g: Tensor, x: Tensor, codes: Tensor, geometry: Geometry | None) -> Tensor:
    """∂L/∂codes in the shape of ``codes`` from g = ∂L/∂(x ∗ codes)."""
    if geometry is None:
        return weight_gradient(_map(g), _map(x), _map(codes), POINT).flatten(1)
    stride, padding, dilation, _ = geometry
    return _weight_gradient(g, x, list(codes.shape), list(stride), list(padding), list(dilation))


def spread(x: Tensor, codes: Tensor, geometry: Geometry = POINT) -> Tensor:
    """x ∗ codes of real numbers with signs, in steps of one pixel: as the gradient of an input whose upstream
    gradient is ``x``, with the kernel turned around and the sides of the weight exchanged."""
    if x.dim() == 2:
        return spread(_map(x), _map(codes), POINT).flatten(1)
    _, padding, dilation, _ = geometry
    reach = [d * (k - 1) for d, k in zip(dilation, codes.shape[2:], strict=True)]
    sizes = [size + 2 * p - r for size, p, r in zip(x.shape[2:], padding, reach, strict=True)]
    turned = codes.flip(2, 3).transpose(0, 1)
    inner = [r - p for r, p in zip(reach, padding, strict=True)]
    return _input_gradient(x, turned, None, [len(x), len(codes), *sizes], [1, 1], inner, list(dilation))


def _map(x: Tensor) -> Tensor:
    return x[:, :, None, None]


def _last(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1).contiguous()


def _of_pixels(size: Sequence[int]) -> list[int]:
    n, channels, height, width = size
    return [n, height, width, channels]
