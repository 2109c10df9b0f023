"""The ternary weight nearest to a real one, and one whose next layer's codes change least (TSQ)."""

from __future__ import annotations

import torch
from torch import Tensor

from bnn_train.binary.quantizers.base import QUANTIZERS, Dims, Quantizer
from bnn_train.binary.sign import sign
from bnn_train.binary.solving import Problem, best_scale, descend
from bnn_train.binary.sorting import descending
from bnn_train.packed.program import Code
from bnn_train.spec import quantizers as spec


def optimal_ternary(x: Tensor) -> Tensor:
    """G×n numbers → the codes of min ‖x − α·t‖² for each row, exactly: the k largest |x| with the k that
    maximises (Σ |x|)²/k; then α is their mean. The smallest such k; 0 stays 0.

    The k-th |x| is the threshold, since equal ones go together: where one more raises (Σ |x|)²/k, so does its
    equal. The sums are float64: about the best of a thousand k the values differ by 10⁻⁶ of themselves, which
    float32 would leave to the order in which a machine adds."""
    size = x.abs()
    largest = descending(size)
    count = torch.arange(1, x.shape[1] + 1, device=x.device, dtype=torch.float64)
    sums = largest.cumsum(dim=1, dtype=torch.float64)
    last = (sums.square() / count).argmax(dim=1, keepdim=True)
    return torch.where((size >= largest.gather(1, last)) & (x != 0), sign(x), 0.0)


def nearest_ternary(x: Tensor, now: Tensor) -> Tensor:
    """The nearest of −1, 0 and 1; half-way, 0."""
    return torch.where(x.abs() > 0.5, sign(x), 0.0)


@QUANTIZERS.builds(spec.OptimalTernary)
class OptimalTernary(Quantizer):
    """t of min ‖w − α·t‖², by sorting |w| (the ternary layer of Two-Step Quantization, CVPR 2018, Wang et
    al.).

    ``solve`` is its second step, min ‖z − Q(α·S·t)‖² against the codes z of the first. The alternation is our
    derivation: z̃ is the point nearest to the present response that has the codes z; then α and t in turn, as
    BWNH has them.
    """

    code = Code(values=(1, 1), denominator=2)
    spec: spec.OptimalTernary

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        rows = x.reshape(1 if 0 in dims else len(x), -1)
        return optimal_ternary(rows).view_as(x)

    def solve(self, problem: Problem) -> Tensor:
        gram, codes = problem.gram, optimal_ternary(problem.flat)
        alpha = best_scale(gram, problem.cross(), codes)
        for _ in range(self.spec.sweeps):
            before = codes
            wanted = problem.targets
            if problem.snap is not None:
                wanted = problem.snap(problem.inputs @ (alpha[:, None] * codes).T)
            codes, alpha = descend(gram, problem.cross(wanted), codes, nearest_ternary, 1)
            if torch.equal(before, codes):
                break
        return (alpha[:, None] * codes).view_as(problem.weight)
