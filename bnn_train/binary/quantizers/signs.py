"""One bit: the sign, drawn or not, and the weight that is its own sign."""

from __future__ import annotations

import torch
from torch import Tensor

from bnn_train.binary.quantizers.base import QUANTIZERS, Dims, Quantizer
from bnn_train.binary.sign import sign
from bnn_train.spec import quantizers as spec


def hard_sigmoid(x: Tensor) -> Tensor:
    """σ(x) = clip((x + 1)/2, 0, 1) (BinaryConnect, arXiv 1511.00363 eq. 3)."""
    return x.add(1).mul_(0.5).clamp_(0, 1)


def stochastic_sign(x: Tensor) -> Tensor:
    """+1 with probability σ(x), else −1 (BinaryConnect eq. 2). Draws from torch's global generator."""
    return torch.where(torch.rand_like(x) < hard_sigmoid(x), 1.0, -1.0).to(x.dtype)


@QUANTIZERS.builds(spec.Sign)
class Sign(Quantizer):
    """−1 where x < 0, else +1."""

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        return sign(x)


@QUANTIZERS.builds(spec.StochasticSign)
class StochasticSign(Quantizer):
    """±1 at random, or the sign."""

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        return stochastic_sign(x) if drawn else sign(x)


@QUANTIZERS.builds(spec.Stored)
class Stored(Quantizer):
    """The ±1 that the parameter is."""

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        return x.clone()
