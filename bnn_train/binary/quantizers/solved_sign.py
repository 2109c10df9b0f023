"""Signs that were solved for on images (BWNH)."""

from __future__ import annotations

from torch import Tensor

from bnn_train.binary.quantizers.base import QUANTIZERS
from bnn_train.binary.quantizers.signs import Sign
from bnn_train.binary.sign import sign
from bnn_train.binary.solving import Problem, descend
from bnn_train.spec import quantizers as spec


@QUANTIZERS.builds(spec.SolvedSign)
class SolvedSign(Sign):
    """sign(w), where first min ‖T − α·S·b‖² over α and b ∈ ±1 was solved for each filter and w became α·b
    (Hu, Wang, Cheng: From Hashing to CNNs, arXiv 1802.02733). The alternation is our derivation from the
    objective: α = bᵀSᵀT/(bᵀA·b), b_j = sign of what the others leave to it; with A = 1 this is BWN."""

    spec: spec.SolvedSign

    def solve(self, problem: Problem) -> Tensor:
        codes, alpha = descend(
            problem.gram, problem.cross(), sign(problem.flat), lambda x, now: sign(x), self.spec.sweeps
        )
        return (alpha[:, None] * codes).view_as(problem.weight)
