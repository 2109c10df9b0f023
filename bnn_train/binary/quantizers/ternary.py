"""Ternary codes −1, 0, +1."""

from __future__ import annotations

import torch
from torch import Tensor

from bnn_train.binary.quantizers.base import QUANTIZERS, Dims, Quantizer
from bnn_train.binary.sign import sign
from bnn_train.packed.program import Code
from bnn_train.spec import quantizers as spec


@QUANTIZERS.builds(spec.Ternary)
class Ternary(Quantizer):
    """+1 where w > Δ, −1 where w < −Δ, else 0; Δ = c·mean|w| (TWN, arXiv 1605.04711 eqs. 3 and 6), or a
    fixed number. Larq's `ste_tern` has ±1 at |w| = Δ, too."""

    code = Code(values=(1, 1), denominator=2)
    spec: spec.Ternary

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        delta = self._delta(x, dims)
        return x.clamp(-delta, delta).neg_().add_(x).sign_()  # no mask, which CPUs are slow at

    def _delta(self, x: Tensor, dims: Dims) -> Tensor:
        if self.spec.fixed is not None:
            return x.new_tensor(self.spec.fixed)
        return x.abs().mean(dim=dims, keepdim=True).mul_(self.spec.threshold)


@QUANTIZERS.builds(spec.TernaryShare)
class TernaryShare(Quantizer):
    """0 for the k = ⌊λ·n⌋ smallest |w| of n, and those that equal them; else sign(w): the boundary β is where
    a share λ becomes 0 (Bitwise Neural Networks, arXiv 1601.06071)."""

    code = Code(values=(1, 1), denominator=2)
    spec: spec.TernaryShare

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        size = x.abs().reshape(1 if 0 in dims else len(x), -1)
        count = int(self.spec.share * size.shape[1])
        if not count:
            return sign(x)
        beta = size.kthvalue(count, dim=1).values.view(-1, *[1] * (x.dim() - 1))
        return torch.where(x.abs() > beta, sign(x), 0.0)
