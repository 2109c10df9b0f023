"""Training steps on a copy, as the loop makes them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bnn_train.binary.latent import enforce
from bnn_train.training.setup import Learner


def one_step(learner: Learner, images: Tensor, labels: Tensor, *, clip: float | None) -> float:
    """Forward, backward, step, latent rules; the loss before it."""
    learner.optimizers.zero_grad()
    with torch.autocast(learner.device.type, learner.amp, enabled=learner.amp is not None):
        logits = learner.model(images)
        loss = learner.criterion(logits.float(), labels)
    learner.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]  # in torch
    if clip is not None:
        learner.optimizers.unscale(learner.scaler)
        nn.utils.clip_grad_norm_(learner.model.parameters(), clip)
    learner.optimizers.step(learner.scaler)
    enforce(learner.model)
    return float(loss.detach())
