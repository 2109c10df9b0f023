"""Connections that are there with a probability, and spikes that come with one (Esser et al., 2015)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bnn_train.binary.quantizers.base import QUANTIZERS, Dims, Quantizer
from bnn_train.binary.quantizers.curved import Curved
from bnn_train.binary.sign import sign
from bnn_train.binary.strengths import strengths
from bnn_train.packed.program import Code
from bnn_train.spec import quantizers as spec

CURVES: dict[str, Callable[[Tensor], Tensor]] = {"normal": torch.special.ndtr, "logistic": torch.sigmoid}


@QUANTIZERS.builds(spec.Sampled)
class Sampled(Quantizer):
    """s·c while training, the expectation of a connection of strength s = ±1 and probability c (Esser et
    al., NIPS 2015); s·1[u < c] in evaluations and exports, u ~ U(0, 1) drawn once from ``seed`` and the
    layer's number. The latent weight is s·c, kept between 0 and s. ``rounded``: s·1[c > ½] in both (RANC)."""

    code = Code(values=(1, 1), denominator=2)
    spec: spec.Sampled
    strength: Tensor
    drawn: Tensor

    @property
    def whole(self) -> bool:
        return not (self.training and self.spec.samples)

    def attach(self, weight: Tensor, dims: Dims) -> None:
        self.register_buffer("strength", strengths(weight.detach()), persistent=False)
        self.register_buffer("drawn", weight.detach(), persistent=False)
        self.stand(0)

    def stand(self, index: int) -> None:
        generator = torch.Generator().manual_seed(self.spec.seed * 2**16 + index)
        self.drawn = torch.rand(self.drawn.shape, generator=generator, device="cpu").to(self.drawn)

    def store(self, w: Tensor) -> None:
        w.copy_(self.strength * (self.strength * w).clamp(0, 1))

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        if not self.spec.samples:
            return torch.where(x.abs() > 0.5, self.strength, 0.0)
        if drawn and self.training:
            return x.clone()
        return torch.where(self.drawn < x.abs(), self.strength, 0.0)


@QUANTIZERS.builds(spec.Spike)
class Spike(Curved):
    """The probability of a spike while training, Φ(x) = ½[1 + erf(x/√2)] with its own derivative φ(x), and
    1[x ≥ 0] in evaluations and exports (Esser et al., NIPS 2015). ``logistic``: the sigmoid (RANC)."""

    code = Code(offset=1, values=(1,), denominator=2)
    spec: spec.Spike

    def decided(self, x: Tensor) -> Tensor:
        return sign(x).add_(1).mul_(0.5)

    def curve(self, x: Tensor) -> Tensor:
        return CURVES[self.spec.curve](x)
