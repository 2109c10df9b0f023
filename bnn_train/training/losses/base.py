"""The base losses of the papers, from logits N×K and labels N to a scalar."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bnn_train.config.schema import Loss

Criterion = Callable[[Tensor, Tensor], Tensor]


class Base(ABC):
    """A loss of logits and labels; evaluations have its ``scored`` alone."""

    @abstractmethod
    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The mean over the batch."""

    @property
    def scored(self) -> Base:
        """The loss that evaluations report, without what only regularizes a training."""
        return self

    @abstractmethod
    def guess(self, classes: int) -> tuple[float, float]:
        """The loss of logits that are all 0, and of standard normal ones, as behind an output norm."""

    @abstractmethod
    def prior(self, classes: int) -> float:
        """The loss of the best logits that are the same for every image, K classes being equally frequent."""


class CrossEntropy(Base):
    """Softmax cross-entropy, −log p of the label."""

    def __init__(self, label_smoothing: float) -> None:
        self.label_smoothing = label_smoothing

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)

    @property
    def scored(self) -> CrossEntropy:
        """Without label smoothing, so that runs with and without it can be compared."""
        return CrossEntropy(label_smoothing=0.0)

    def guess(self, classes: int) -> tuple[float, float]:
        """ln K, and about ln K + ½."""
        return math.log(classes), math.log(classes) + 0.5

    def prior(self, classes: int) -> float:
        """ln K, with logits 0."""
        return math.log(classes)


class SquareHinge(Base):
    """Mean over the batch of Σₖ max(0, 1 − tₖ·yₖ)², t = ±1 one-hot; ``mean`` divides by K.

    BinaryConnect's scripts average over the classes; its first MNIST experiment sums, which is K
    times larger and matters to SGD.
    """

    def __init__(self, *, averages: bool) -> None:
        self.averages = averages

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        # not F.one_hot, which reads the labels back to check them and so waits for a GPU
        targets = torch.full_like(logits, -1).scatter_(1, labels[:, None], 1)
        per_image = (1 - targets * logits).clamp(min=0).square().sum(dim=1).mean()
        return per_image / logits.shape[1] if self.averages else per_image

    def guess(self, classes: int) -> tuple[float, float]:
        """Per class: 1, and E max(0, 1 + z)² = 2Φ(1) + φ(1)."""
        times = 1 if self.averages else classes
        normal = 1 + math.erf(1 / math.sqrt(2)) + math.exp(-0.5) / math.sqrt(2 * math.pi)
        return float(times), times * normal

    def prior(self, classes: int) -> float:
        """Per class, p(1 − y)² + (1 − p)(1 + y)² with p = 1/K is least at y = 2p − 1: 4p(1 − p)."""
        return self.guess(classes)[0] * 4 * (classes - 1) / classes**2


class Probit(Base):
    """Mean over the batch of −Σₖ log Φ(tₖ·yₖ), t = ±1 one-hot (Soudry, Hubara, Meir: Expectation
    Backpropagation, NIPS 2014): the chance that every output neuron has the sign of its target.

    ∂/∂z = −φ(z)/Φ(z) = −√(2/π)/erfcx(−z/√2) at z = t·y, which is finite for every z; far below 0 it is z,
    where the authors' quotient is 0/0 and they take that limit."""

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        targets = torch.full_like(logits, -1).scatter_(1, labels[:, None], 1)
        chances: Tensor = _LogPhi.apply(targets * logits)  # type: ignore[no-untyped-call]  # in torch
        return -chances.sum(dim=1).mean()

    def guess(self, classes: int) -> tuple[float, float]:
        """Per class: ln 2; and 1, since Φ of a normal number is uniform."""
        return classes * math.log(2), float(classes)

    def prior(self, classes: int) -> float:
        """K times the entropy of a class of probability 1/K."""
        p = 1 / classes
        return -classes * (p * math.log(p) + (1 - p) * math.log1p(-p))


class _LogPhi(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        ctx.save_for_backward(z)
        log_phi: Tensor = torch.special.log_ndtr(z)
        return log_phi

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (z,) = ctx.saved_tensors
        ratio: Tensor = math.sqrt(2 / math.pi) / torch.special.erfcx(z * -math.sqrt(0.5))
        return grads[0] * ratio


BASES: dict[str, Callable[[Any], Base]] = {
    "cross_entropy": lambda section: CrossEntropy(section.label_smoothing),
    "square_hinge": lambda section: SquareHinge(averages=section.averages),
    "probit": lambda section: Probit(),
}
"""By the name in a config, from its section."""


def criterion(loss: Loss) -> Base:
    """The base of a config's loss section."""
    return BASES[loss.name](loss)
