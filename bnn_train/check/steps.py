"""Training steps on a copy, as the loop makes them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from torch import Tensor

from bnn_train.spec.annealed import Position
from bnn_train.training.setup import Learner
from bnn_train.training.step import Kept, training_step


def one_step(
    learner: Learner,
    images: Tensor,
    labels: Tensor,
    *,
    position: Position,
    clip: float | None,
    stepped: Callable[[], object] = lambda: None,
) -> float:
    """Forward, backward, step, ``stepped()``, latent rules; the loss before it. ``clip``: of gradients."""
    step = partial(training_step, learner, Kept(learner.model), position=position, clip=clip, stepped=stepped)
    while (seen := step([(images, labels)])) is None:
        if learner.scaler.get_scale() < 1:
            return math.nan
    return float(seen[0].loss)
