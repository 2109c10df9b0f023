"""Passes over maps and weights by the packed kernels: one read and one write, where PyTorch takes three."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bnn_train.binary.training_kernel import kernel, traced
from bnn_train.packed.native_library import library

FEWEST = 1 << 12
"""Numbers; a call costs as much as PyTorch takes for fewer."""

torch.library.define("bnn_train::signs", "(Tensor x) -> Tensor", tags=(torch.Tag.pt2_compliant_tag,))
torch.library.define(
    "bnn_train::window",
    "(Tensor g, Tensor x, float low, float high) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)


def serves(*tensors: Tensor) -> bool:
    """Whether the operators can take these tensors of one shape: float32 on the CPU, laid out alike without
    gaps, not few, kernels to run them, and nobody who compiles or exports, who knows better or not at all."""
    x = tensors[0]
    return (
        x.device.type == "cpu"
        and x.numel() >= FEWEST
        and kernel() is not None
        and not traced()
        and all(t.dtype == torch.float32 and t.stride() == x.stride() for t in tensors)
        and (x.is_contiguous() or (x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)))
    )


@torch.library.impl("bnn_train::signs", "cpu")
def _signs(x: Tensor) -> Tensor:
    """−1 where x < 0, else +1."""
    result = torch.empty_like(x)
    library().signs(str(kernel()), x.data_ptr(), x.numel(), result.data_ptr(), torch.get_num_threads())
    return result


@torch.library.impl("bnn_train::window", "cpu")
def _window(g: Tensor, x: Tensor, low: float, high: float) -> Tensor:
    """g where low < x < high, else 0."""
    result = torch.empty_like(g)
    given = (g.data_ptr(), x.data_ptr())
    library().window(str(kernel()), given, g.numel(), (low, high), result.data_ptr(), torch.get_num_threads())
    return result


@torch.library.register_fake("bnn_train::signs")  # type: ignore[untyped-decorator]  # in torch
def _like_signs(x: Tensor) -> Tensor:
    return torch.empty_like(x)


@torch.library.register_fake("bnn_train::window")  # type: ignore[untyped-decorator]  # in torch
def _like_window(g: Tensor, x: Tensor, low: float, high: float) -> Tensor:
    return torch.empty_like(g)


signs: Callable[[Tensor], Tensor] = torch.ops.bnn_train.signs.default
window: Callable[[Tensor, Tensor, float, float], Tensor] = torch.ops.bnn_train.window.default
