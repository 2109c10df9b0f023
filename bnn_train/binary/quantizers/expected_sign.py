"""Signs that are known by their expectation while a network trains."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from bnn_train.binary.quantizers.base import QUANTIZERS
from bnn_train.binary.quantizers.curved import Curved
from bnn_train.binary.sign import sign
from bnn_train.spec import quantizers as spec

CURVES: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "normal": lambda x: torch.erf(x * math.sqrt(0.5)),
}


@QUANTIZERS.builds(spec.ExpectedSign)
class ExpectedSign(Curved):
    """⟨s⟩ while training, sign(x) in evaluations and exports (Soudry, Hubara, Meir: Expectation
    Backpropagation, NIPS 2014). ``tanh``: x = ½·log(P(+1)/P(−1)), ⟨s⟩ = tanh(x); ``normal``: s is the sign of
    a normal sum of mean x and deviation 1, ⟨s⟩ = 2Φ(x) − 1.

    As a weight, the gradient with respect to ⟨s⟩ is that of the log odds, by the rule ``identity``: an image
    adds ½·log(p(y|+1)/p(y|−1)) ≈ ∂ log p(y)/∂⟨s⟩. An activation has its curve's own derivative."""

    spec: spec.ExpectedSign

    @property
    def signs(self) -> bool:
        """Only where the signs are taken."""
        return not self.training

    def decided(self, x: Tensor) -> Tensor:
        return sign(x)

    def curve(self, x: Tensor) -> Tensor:
        return CURVES[self.spec.curve](x)
