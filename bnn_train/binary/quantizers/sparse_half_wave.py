"""Activation codes of the positive half of a normal distribution, most of them 0 (TSQ)."""

from __future__ import annotations

import torch
from torch import Tensor

from bnn_train.binary.quantizers.base import QUANTIZERS, Dims, Factors, Quantizer
from bnn_train.packed.program import Code
from bnn_train.spec import quantizers as spec


@QUANTIZERS.builds(spec.SparseHalfWave)
class SparseHalfWave(Quantizer):
    """0 for x ≤ θ, δ to 1.5δ, 2δ to 2.5δ, else 3δ (Two-Step Quantization, CVPR 2018, the first author's
    ``relu2b_layer.cpp``). δ = 0.6487 is the best for N(0, 1) with θ = 0.32; NaN gives 0."""

    code = Code(offset=3, values=(1, 2), denominator=2)
    spec: spec.SparseHalfWave

    @property
    def thresholds(self) -> tuple[float, float, float]:
        """θ, 1.5δ, 2.5δ."""
        return self.spec.threshold, 1.5 * self.spec.step, 2.5 * self.spec.step

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        low, middle, high = self.thresholds
        return (x > low).to(x.dtype).add_(x > middle).add_(x > high)

    def unit(self, span: Factors) -> Factors:
        return self.spec.step

    def preimage(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        edges = torch.tensor(
            [-torch.inf, *self.thresholds, torch.inf], dtype=codes.dtype, device=codes.device
        )
        return edges[codes.long()], edges[codes.long() + 1]
