"""One training step, for the loop and for every instrument that trains. Nothing here waits for the device,
but for the loss scaler of fp16, which asks after each backward pass whether a gradient overflowed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.profiler import record_function

from bnn_train.binary.latent import enforce
from bnn_train.binary.placed import place
from bnn_train.binary.sync_norm import uncounted
from bnn_train.data.share import Counts
from bnn_train.spec.annealed import Position
from bnn_train.training.curvature import hand_over
from bnn_train.training.losses.taps import tapped
from bnn_train.training.losses.terms import Context, weighted_sum
from bnn_train.training.precision import precise, widened
from bnn_train.training.setup import Learner

PHASES = FORWARD, BACKWARD, OPTIMIZER, RULES = "forward", "backward", "optimizer", "latent rules"
"""Ranges that a profiler sees: the model and the loss, its gradients, the optimizer's step, what follows."""
Batch = tuple[Tensor, Tensor]
"""Images, and labels N or, where images are mixed, the classes' shares N×K."""


@dataclass(frozen=True)
class Seen:
    """Loss, logits and labels of a batch, on the device and without their graph. Of mixed images the label is
    that of the larger share."""

    loss: Tensor
    """The mean over the batch, terms included."""
    logits: Tensor
    labels: Tensor

    @property
    def sums(self) -> Sums:
        """Its sums, as an epoch adds them up: in float64, the mean times the images."""
        correct = (self.logits.argmax(dim=1) == self.labels).sum()
        return Sums(self.loss.double() * len(self.labels), correct, len(self.labels))


class Sums(NamedTuple):
    """Sums over images, on the device: of the loss, and of right answers; and the number of images."""

    loss: Tensor
    correct: Tensor
    images: int


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
    position: Position,
    clip: float | None,
    stepped: Callable[[], object] = lambda: None,
    counts: Sequence[Counts] | None = None,
    gather: Callable[[Sequence[Seen]], object] = lambda seen: None,
) -> list[Seen] | None:
    """Forward, loss and backward of each batch, one step on their mean, ``stepped()``, latent rules, average;
    all at one ``position`` of the run.

    None where a gradient overflowed under the loss scale of fp16: then nothing moved, the scale is lower,
    and the step is to be repeated. An error on the way to the step leaves the model as it was.
    ``clip``: of the gradient's norm. Where several processes share each batch, ``counts`` says how many
    images this one has of each, and ``gather`` adds the gradients up.
    """
    place(learner.model, position)
    learner.optimizers.zero_grad()
    kept.keep()
    learner.optimizers.lend(position)
    counts = counts or [Counts(len(labels), len(labels)) for _, labels in group]
    total = sum(count.whole for count in counts)
    learner.optimizers.average_over(total)
    try:
        seen = []
        for batch, count in zip(group, counts, strict=True):
            with nullcontext() if count.own else uncounted(learner.networks):
                seen.append(_backward(learner, batch, count.own / total, position))
        gather(seen)
        learner.optimizers.unscale(learner.scaler)
        if clip is not None:
            nn.utils.clip_grad_norm_(learner.model.parameters(), clip)
    except Exception:
        kept.restore()
        learner.optimizers.settle()
        raise
    learner.torn = True
    with record_function(OPTIMIZER):
        moved = learner.optimizers.step(learner.scaler)
    if moved:
        stepped()
        with record_function(RULES):
            enforce(learner.model)
            learner.optimizers.settle()
            hand_over(learner.model, learner.optimizers)
            if learner.average is not None:
                learner.average.update_parameters(learner.model)
    else:
        kept.restore()
        learner.optimizers.settle()
    learner.torn = False
    return seen if moved else None


def _backward(learner: Learner, batch: Batch, share: float, position: Position) -> Seen:
    """Its gradient, times ``share`` of the step's images."""
    images, targets = batch
    labels = targets if targets.dim() == 1 else targets.argmax(dim=1)
    watched = [pattern for term in learner.terms for pattern in term.watches]
    with record_function(FORWARD):
        with precise(learner.device, learner.amp), tapped(learner.model, watched) as outputs:
            logits = widened(learner.model(images))
            loss = learner.criterion(logits, targets if targets.dim() == 1 else targets.to(logits.dtype))
        if learner.terms:  # outside, since a teacher has a precision of its own
            context = Context(images, logits, labels, learner.model, position, outputs)
            loss = weighted_sum(loss, learner.terms, context, learner.base_weight)
    with record_function(BACKWARD):
        learner.scaler.scale(loss * share).backward()  # type: ignore[no-untyped-call]  # in torch
    return Seen(loss.detach(), logits.detach(), labels)
