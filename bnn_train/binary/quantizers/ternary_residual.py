"""Sums of ternary weights, each that of what the ones before leave (Ternary Residual Networks)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from bnn_train.binary.quantizers.base import QUANTIZERS, Dims, Quantizer
from bnn_train.binary.quantizers.optimal_ternary import optimal_ternary
from bnn_train.binary.solving import Problem, error
from bnn_train.packed.program import Code
from bnn_train.spec.quantizers import TernaryResidual as Options


@QUANTIZERS.builds(Options)
class TernaryResidual(Quantizer):
    """ŵ = Σᵢ αᵢ·tᵢ, i = 1 … r: tᵢ and αᵢ are the nearest ternary numbers to what the terms before leave of w
    (Kundu et al., arXiv 1707.04679). tᵢ = (s + s′)/2 of two signs.

    Our reading of the paper's sensitivity: ‖(W − Ŵ)·S‖²/‖W·S‖² on the solving images. The layer where it is
    largest gets the next term until the budget is spent.
    """

    spec: Options
    kept: Tensor
    """r of this layer."""

    def __init__(self, spec: Options) -> None:
        super().__init__(spec)
        self.register_buffer("kept", torch.tensor(spec.terms))
        self._errors: list[float] = []
        self._size = 0
        if spec.block is None:
            self.bases = 2 * spec.terms
        else:
            self.code = Code(values=(1, 1), denominator=2)
            self.refusal = (
                f"its weights have a factor for each {spec.block} of a filter, and the packed program has one"
                " for a filter; leave out method.weight.quantizer.block"
            )

    def _terms(self, x: Tensor, dims: Dims) -> Iterator[tuple[Tensor, Tensor]]:
        """tᵢ shaped as ``x``, and αᵢ, which is 0 from r on, in a shape that spreads over it."""
        groups = 1 if 0 in dims else len(x)
        rest = _blocks(x.reshape(groups, -1), self.spec.block)
        for i in range(self.spec.terms):
            codes = optimal_ternary(rest)
            alpha = (codes * rest).sum(dim=1, keepdim=True) / codes.abs().sum(dim=1, keepdim=True).clamp(
                min=1
            )
            alpha = alpha * (self.kept > i)
            rest = rest - alpha * codes
            yield codes, alpha

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        terms = self._terms(x, dims)
        if not self.bases:
            groups = 1 if 0 in dims else len(x)
            value = torch.stack([alpha * codes for codes, alpha in terms]).sum(dim=0)
            return value.reshape(groups, -1)[:, : x.numel() // groups].reshape(x.shape)
        planes = [(t >= 0, t > 0) for t, _ in terms]
        signs = torch.stack([plane.reshape(x.shape) for pair in planes for plane in pair])
        return signs.to(x.dtype).mul_(2).sub_(1)

    def factors(self, x: Tensor, codes: Tensor, dims: Dims) -> Tensor | None:
        halves = torch.stack([alpha / 2 for _, alpha in self._terms(x, dims) for _ in range(2)])
        return halves.reshape(self.bases, -1, *[1] * (x.dim() - 1))

    def begin(self, w: Tensor) -> None:
        self.kept.fill_(self.spec.terms)

    def solve(self, problem: Problem) -> Tensor:
        """The weight as it is; the errors that one, two … terms leave are kept for ``settle``."""
        dims, value = tuple(range(1, problem.weight.dim())), torch.zeros_like(problem.flat)
        self._errors = []
        for codes, alpha in self._terms(problem.weight, dims):
            value = value + (alpha * codes).reshape(len(value), -1)[:, : value.shape[1]]
            self._errors.append(error(problem, value))
        self._size = problem.weight.numel()
        return problem.weight

    def settle(self, quantizers: Sequence[Quantizer]) -> Sequence[float]:
        layers = [quantizer for quantizer in quantizers if isinstance(quantizer, TernaryResidual)]
        counts = [1] * len(layers)
        left = (self.spec.budget - 1) * sum(layer._size for layer in layers)
        while True:
            open_ = [
                i for i, layer in enumerate(layers) if counts[i] < layer.spec.terms and layer._size <= left
            ]
            if not open_:
                break
            worst = max(open_, key=lambda i: layers[i]._errors[counts[i] - 1])
            counts[worst] += 1
            left -= layers[worst]._size
        for layer, count in zip(layers, counts, strict=True):
            layer.kept.fill_(count)
        return [layer._errors[count - 1] for layer, count in zip(layers, counts, strict=True)]


def _blocks(rows: Tensor, size: int | None) -> Tensor:
    """G×n → blocks of a row, one a row, the last filled with zeros."""
    if size is None:
        return rows
    missing = -rows.shape[1] % size
    return torch.nn.functional.pad(rows, (0, missing)).reshape(-1, size)
