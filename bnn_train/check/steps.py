"""Training steps on a copy, as the loop makes them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bnn_train.binary.latent import enforce
from bnn_train.training.setup import Learner


def one_step(
    learner: Learner,
    images: Tensor,
    labels: Tensor,
    *,
    clip: float | None,
    stepped: Callable[[], object] = lambda: None,
) -> float:
    """Forward, backward, step, ``stepped()``, latent rules; the loss before it. ``clip``: of gradients."""
    learner.optimizers.zero_grad()
    with torch.autocast(learner.device.type, learner.amp, enabled=learner.amp is not None):
        logits = learner.model(images)
        loss = learner.criterion(logits.float(), labels)
    learner.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]  # in torch
    if clip is not None:
        learner.optimizers.unscale(learner.scaler)
        nn.utils.clip_grad_norm_(learner.model.parameters(), clip)
    learner.optimizers.step(learner.scaler)
    stepped()
    enforce(learner.model)
    return float(loss.detach())
