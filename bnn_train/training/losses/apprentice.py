"""A teacher that learns beside its student."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnn_train.data.bundle import DataBundle
from bnn_train.data.randomness import stream_seed
from bnn_train.models.build import build
from bnn_train.spec.method import Method
from bnn_train.training.losses.terms import Context, Term


class Apprentice(Term):
    """a·H(y, p_T) + H(softmax(z_T), p_S): the cross-entropy of the labels under a real-valued teacher that
    trains too, and that of its answers under the network (scheme A of Apprentice, arXiv 1711.05852).

    The paper's L = α·H(y, p_T) + β·H(y, p_S) + γ·H(z_T, p_S) is β times the base loss and this term of weight
    γ/β and a = α/γ. Whether the third part trains the teacher is not told; here its answers are constants.
    """

    def __init__(self, section: Any, device: torch.device) -> None:
        self.weight, self.labels = section.weight, section.labels
        self.network, self.device = section.model, device

    def check(self, data: DataBundle) -> None:
        """Build the teacher, for images and classes of these data."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed(0, "teacher"))
            self.trained: nn.Module = build(self.network, Method(name="fp"), data.shape, len(data.classes))
        self.trained.to(device=self.device).train()

    def __call__(self, context: Context) -> Tensor:
        taught = self.trained(context.images).float()
        answers = F.softmax(taught.detach(), dim=1)
        own = F.cross_entropy(taught, context.labels)
        result: Tensor = self.labels * own + F.cross_entropy(context.logits, answers)
        return result

    def told(self) -> str:
        return f"A real {self.network.name} trained beside the network, which learned its answers."
