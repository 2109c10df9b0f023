"""The float32 constants of the modules between products, exactly as torch computes with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bnn_train.binary.layers import BinaryLayer
from bnn_train.binary.quantizers.base import is_one
from bnn_train.errors import ExportError
from bnn_train.export.graph import Op, binary
from bnn_train.export.shares import Share

F32 = NDArray[np.float32]
Function = Callable[[Tensor], Tensor]
"""Values M×C of one number each → M×C, channel by channel."""
_FAR = 2.0**100
"""So large that the summand of a norm vanishes beside it, so that the factor can be read off."""


def array(t: Tensor) -> F32:
    """As numpy has it."""
    return t.detach().to(torch.float32).contiguous().numpy().copy()


def apply(module: nn.Module, x: Tensor) -> Tensor:
    """A module on M×C numbers, each a map of one pixel."""
    with torch.no_grad():
        if isinstance(module, nn.BatchNorm2d):
            x = x[:, :, None, None]
        result: Tensor = module(x)
        return result.reshape(len(x), -1)


def norm_of(op: Op) -> tuple[F32, F32]:
    """Factor a and summand b of a batch norm in evaluation, which is fma(x, a, b), or of a share.

    Read off the module: b = f(0); a = (f(2¹⁰⁰) − f(−2¹⁰⁰))/2¹⁰¹, where b is less than half a unit of the last
    place. torch computes a = γ·rsqrt(σ² + ε) and b = fma(−μ, a, β), the same for any batch and layout.
    """
    module = _module(op)
    running = isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.running_mean is not None
    if not running and not isinstance(module, Share):
        raise ExportError(
            f"{op.layer}: normalizes with the statistics of the batch; the packed program needs running ones"
        )
    probes = torch.tensor([[0.0], [_FAR], [-_FAR]]).expand(3, op.channels)
    summand, above, below = apply(module, probes.contiguous()).double()
    factor = (above - below) / (2 * _FAR)
    if not bool(torch.isfinite(torch.stack([factor, summand])).all()):
        raise ExportError(
            f"{op.layer}: its factor or summand is not finite; the checkpoint is of a run that diverged"
        )
    return array(factor), array(summand)


def fused(factor: F32, summand: F32, module: nn.Module) -> bool:
    """Whether torch rounds x·a + b once, as the packed program does; without FMA instructions it does not."""
    x = torch.linspace(-9.7, 11.3, 64)[:, None].expand(-1, len(factor)).contiguous()
    exact = x.numpy().astype(np.longdouble) * factor + summand
    return bool((apply(module, x).numpy() == exact.astype(np.float32)).all())


def product_scale(op: Op) -> F32 | None:
    """The factor of a whole-number product, or of one of several bases, rounded as ``binary.product`` and
    ``binary.bases_product`` do; None for nothing."""
    layer = binary(op)
    if layer is None or layer.weight_quantizer is None:
        return None
    unit = _unit(layer)
    learned = layer.output_scale.channels
    found = layer.codes()
    alpha = None if found.bases else found.factors
    if learned is not None:
        if unit is not None or isinstance(alpha, Tensor):
            other, remedy = (
                ("activation.quantizer", "activation.quantizer to sign")
                if unit is not None
                else ("weight.scale", "weight.scale to none")
            )
            raise ExportError(
                f"{op.layer}: multiplies its output with two factors of each channel, one after the other"
                f" ({other} and output_scale), and the packed program with one; set {remedy}"
            )
        return array(learned)
    if not isinstance(alpha, Tensor):
        return None if unit is None else np.full(op.channels, array(torch.as_tensor(unit)), dtype=np.float32)
    spread = alpha.expand(op.channels, *alpha.shape[1:])
    return array((spread if unit is None else spread * unit).reshape(-1))


def _unit(layer: BinaryLayer) -> Tensor | float | None:
    """The value of one unit of an input's code; None for 1, and for bases, which have factors of their
    own."""
    inputs = layer.input_quantizer
    if inputs is None or inputs.bases:
        return None
    unit = inputs.quantizer.unit(inputs.pre.span())
    return None if is_one(unit) else unit


def weight_factors(op: Op) -> F32 | None:
    """P×O: the factors of a weight of several bases; None for others."""
    layer = binary(op)
    if layer is None or layer.weight_quantizer is None or not layer.weight_quantizer.bases:
        return None
    found = layer.codes()
    factors = torch.as_tensor(found.factors).reshape(found.bases, -1)
    return array(factors.expand(found.bases, op.channels))


def input_factors(op: Op) -> F32 | None:
    """Q: the factors of an input of several bases; None for others."""
    layer = binary(op)
    if layer is None or layer.input_quantizer is None or not layer.input_quantizer.bases:
        return None
    found = layer.input_quantizer.decompose(layer.weight.new_zeros(1, op.inputs[0].channels))
    return array(torch.as_tensor(found.factors).reshape(-1))


def bias_of(op: Op) -> F32 | None:
    """O, or None."""
    bias = getattr(_module(op), "bias", None)
    return array(bias) if isinstance(bias, Tensor) else None


def codes_function(layer: BinaryLayer) -> Function:
    """The quantizer on a layer's input: numbers M×C → codes M×C, of several bases P×M×C, but where those are
    digits the numbers that they write."""
    quantizer = layer.input_quantizer
    if quantizer is None:
        raise TypeError(f"{type(layer).__name__} of role {layer.role} has a real input")
    if not quantizer.quantizer.digits:
        return lambda x: quantizer.decompose(x).numbers
    places = 2.0 ** torch.arange(quantizer.bases)
    return lambda x: torch.einsum("pmc,p->mc", (quantizer.decompose(x).numbers > 0).float(), places)


def chain_function(modules: Sequence[nn.Module]) -> Function:
    """Modules one after the other; a maximum over one number is that number."""

    def function(x: Tensor) -> Tensor:
        for module in modules:
            x = apply(module, x)
        return x

    return function


def product_function(op: Op) -> Function:
    """From whole-number products to a layer's output: the operations of ``binary.product``, then the bias."""
    scale, bias = product_scale(op), bias_of(op)

    def function(x: Tensor) -> Tensor:
        y = x if scale is None else x * torch.from_numpy(scale)
        return y if bias is None else y + torch.from_numpy(bias)

    return function


def _module(op: Op) -> nn.Module:
    if op.module is None:
        raise ExportError(f"{op.layer}: has no module")
    return op.module
