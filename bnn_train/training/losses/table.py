"""The terms by name: from a config's section to the object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from bnn_train.config.schema import Loss
from bnn_train.training.losses.apprentice import Apprentice
from bnn_train.training.losses.attention import Attention
from bnn_train.training.losses.channel_gates import ChannelGates
from bnn_train.training.losses.distillation import Distillation
from bnn_train.training.losses.feature import Feature
from bnn_train.training.losses.regularizer import Regularizer
from bnn_train.training.losses.spikes import Spikes
from bnn_train.training.losses.teacher import open_teacher
from bnn_train.training.losses.terms import Term

TERMS: dict[str, Callable[[Any, torch.device], Term]] = {
    "distillation": lambda section, device: Distillation(section, open_teacher(section.teacher, device)),
    "regularizer": lambda section, device: Regularizer(section),
    "spikes": lambda section, device: Spikes(section),
    "channel_gates": lambda section, device: ChannelGates(section),
    "attention": lambda section, device: Attention(section, open_teacher(section.teacher, device)),
    "feature": lambda section, device: Feature(section, open_teacher(section.teacher, device)),
    "apprentice": Apprentice,
}
"""By the name in a config, from its section and the device of the run."""


def terms_of(loss: Loss, device: torch.device) -> tuple[Term, ...]:
    """The terms of a config's loss section, their teachers read. Raises CheckpointError."""
    return tuple(TERMS[section.name](section, device) for section in loss.terms)
