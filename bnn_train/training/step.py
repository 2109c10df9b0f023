"""One training step, for the loop and for every instrument that trains. Nothing here waits for the device,
but for the loss scaler of fp16, which asks after each backward pass whether a gradient overflowed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bnn_train.binary.latent import enforce
from bnn_train.training.precision import precise
from bnn_train.training.setup import Learner

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Seen:
    """What the forward pass of a batch came to, on the device and without its graph."""

    loss: Tensor
    """The mean over the batch."""
    logits: Tensor
    labels: Tensor


class Kept:
    """The buffers of a model (running statistics) as they were before a forward pass, to undo it."""

    def __init__(self, model: nn.Module) -> None:
        kinds: dict[torch.dtype, list[Tensor]] = defaultdict(list)
        for buffer in model.buffers():
            kinds[buffer.dtype].append(buffer)
        self._pairs = [(buffers, [torch.empty_like(b) for b in buffers]) for buffers in kinds.values()]

    def keep(self) -> None:
        """Copy them."""
        for buffers, kept in self._pairs:
            torch._foreach_copy_(kept, buffers)

    def restore(self) -> None:
        """Put them back."""
        for buffers, kept in self._pairs:
            torch._foreach_copy_(buffers, kept)


def training_step(
    learner: Learner,
    kept: Kept,
    group: Sequence[Batch],
    *,
    clip: float | None,
    stepped: Callable[[], object] = lambda: None,
) -> list[Seen] | None:
    """Forward, loss and backward of each batch, one step on their mean, ``stepped()``, latent rules, average.

    None where a gradient overflowed under the loss scale of fp16: then nothing moved, the scale is lower,
    and the step is to be repeated. An error on the way to the step leaves the model as it was.
    ``clip``: of the gradient's norm.
    """
    learner.optimizers.zero_grad()
    kept.keep()
    total = sum(len(labels) for _, labels in group)
    try:
        seen = [_backward(learner, images, labels, total) for images, labels in group]
        learner.optimizers.unscale(learner.scaler)
        if clip is not None:
            nn.utils.clip_grad_norm_(learner.model.parameters(), clip)
    except Exception:
        kept.restore()
        raise
    learner.torn = True
    moved = learner.optimizers.step(learner.scaler)
    if moved:
        stepped()
        enforce(learner.model)
        if learner.average is not None:
            learner.average.update_parameters(learner.model)
    else:
        kept.restore()
    learner.torn = False
    return seen if moved else None


def _backward(learner: Learner, images: Tensor, labels: Tensor, total: int) -> Seen:
    with precise(learner.device, learner.amp):
        logits = learner.model(images)
        loss = learner.criterion(logits.float(), labels)
    learner.scaler.scale(loss * (len(labels) / total)).backward()  # type: ignore[no-untyped-call]  # in torch
    return Seen(loss.detach(), logits.detach(), labels)
