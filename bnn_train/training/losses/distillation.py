"""Distillation: a network learns the answers of another one (Hinton, Vinyals, Dean, arXiv 1503.02531)."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from bnn_train.data.bundle import DataBundle
from bnn_train.spec.annealed import number_at
from bnn_train.training.losses.teacher import Teacher
from bnn_train.training.losses.terms import Context, Term


def softened_divergence(logits: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """T²·KL(p ‖ q), p = softmax(taught/T) of the teacher and q = softmax(logits/T) of the network, both N×K:
    the sum over K classes of p·(log p − log q), then the mean over N images.

    Hinton et al. §2 have the cross-entropy of q under p, which differs by the entropy of p and so has the
    same gradient. Its size falls with 1/T², hence the factor T² (ibid.).
    """
    p = F.log_softmax(taught / temperature, dim=1)
    q = F.log_softmax(logits / temperature, dim=1)
    return temperature**2 * F.kl_div(q, p, reduction="batchmean", log_target=True)


class Distillation(Term):
    """T²·KL(teacher ‖ network) of logits softened by an annealed temperature T."""

    def __init__(self, section: Any, teacher: Teacher) -> None:
        self.weight, self.temperature = section.weight, section.temperature
        self.teacher = teacher

    def __call__(self, context: Context) -> Tensor:
        taught = self.teacher(context.images)
        return softened_divergence(context.logits, taught, number_at(self.temperature, context.position))

    def check(self, data: DataBundle) -> None:
        """The teacher must know the same classes and see the same images."""
        self.teacher.check(data)

    def told(self) -> str:
        return f"The loss has a term of distillation from {self.teacher.title}."
