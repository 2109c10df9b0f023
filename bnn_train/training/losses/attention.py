"""Attention transfer: a network looks where its teacher looks (Zagoruyko, Komodakis, arXiv 1612.03928; of
binary networks Martinez et al., arXiv 2003.11535 §4.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bnn_train.data.bundle import DataBundle
from bnn_train.errors import RunError
from bnn_train.training.losses.taps import chosen
from bnn_train.training.losses.teacher import Teacher
from bnn_train.training.losses.terms import Context, Term

LEAST = 1e-12
"""The least that a map is divided by, so that one of zeros stays so."""
NORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "max": lambda q: q.amax(dim=1, keepdim=True),
    "l2": lambda q: q.norm(dim=1, keepdim=True),
}
"""From maps N×H·W to what each is divided by, N×1."""


def attention(block: Tensor, norm: str) -> Tensor:
    """Q/‖Q‖ of N×C×H×W outputs as N×H·W: Q = the mean over the channels of A², divided by its largest number
    (Larq Zoo's knowledge_distillation.py) or its length (the paper, which adds up the channels: the same)."""
    q = block.float().square().mean(dim=1).flatten(1)
    return q / NORMS[norm](q).clamp_min(LEAST)


class Attention(Term):
    """The mean over blocks, images and places of (Q_S/‖Q_S‖ − Q_T/‖Q_T‖)²."""

    def __init__(self, section: Any, teacher: Teacher) -> None:
        self.weight, self.norm, self.teacher = section.weight, section.norm, teacher
        self.watches = section.blocks
        self.teacher_blocks = section.teacher_blocks or section.blocks

    def __call__(self, context: Context) -> Tensor:
        own = chosen(context.outputs, self.watches, "network")
        taught = self.teacher.outputs(context.images, self.teacher_blocks)
        _check(own, taught)
        pairs = zip(own.values(), taught.values(), strict=True)
        return torch.stack(
            [(attention(s, self.norm) - attention(t, self.norm)).square().mean() for s, t in pairs]
        ).mean()

    def check(self, data: DataBundle) -> None:
        """The teacher must know the same classes and see the same images."""
        self.teacher.check(data)

    def told(self) -> str:
        return f"The loss has a term of attention transfer from {self.teacher.title}."


def _check(own: dict[str, Tensor], taught: dict[str, Tensor]) -> None:
    """Raise RunError unless the blocks are as many and their maps as large."""
    if len(own) != len(taught):
        raise RunError(
            f"loss.terms: attention compares {len(own)} blocks ({', '.join(own)}) with {len(taught)} of the"
            f" teacher ({', '.join(taught)}); set blocks and teacher_blocks to as many"
        )
    for (name, s), (other, t) in zip(own.items(), taught.items(), strict=True):
        if s.dim() != 4 or t.dim() != 4 or s.shape[2:] != t.shape[2:]:
            sizes = ["×".join(map(str, x.shape[1:])) for x in (s, t)]
            raise RunError(
                f"loss.terms: attention compares {name}, {sizes[0]}, with the teacher's {other}, {sizes[1]};"
                " name blocks that give maps of the same height and width"
            )
