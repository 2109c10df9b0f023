"""One pass over a split that reads the model and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bnn_train.binary.sync_norm import norms_apart
from bnn_train.inspect.evaluation import Evaluation, Tally
from bnn_train.training.losses import Criterion
from bnn_train.training.precision import precise
from bnn_train.world import ALONE, World

Batches = Iterable[tuple[Tensor, Tensor]]
See = Callable[[Tensor, Tensor], None]
"""Told the logits and labels of each batch."""


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradients inside; the former mode after."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


def evaluate(
    model: nn.Module,
    batches: Batches,
    *,
    classes: int,
    criterion: Criterion,
    amp: torch.dtype | None = None,
    see: See | None = None,
    flips: bool = False,
    world: World = ALONE,
) -> Evaluation:
    """Count every image of ``batches`` once; the loss is the mean over the images. ``amp``: the precision of
    the run, so that the function is scored that was trained. ``flips``: of the logits of an image and its
    mirror image the mean. ``world``: the processes that share the batches, whose counts are added. Waits for
    the device at the end alone."""
    tally = Tally(classes)
    with world.agreed(), evaluating(model):
        for images, labels in batches:
            with precise(images.device, amp):
                logits = model(images).float()
                if flips:
                    logits = (logits + model(images.flip(-1)).float()) / 2
                loss = criterion(logits, labels)
            tally.add(logits, labels, loss=loss)
            if see is not None:
                see(logits, labels)
    if not world.alone:
        tally.add_up(world, next(model.parameters()).device)
    return tally.result()


def reestimate_norms(
    model: nn.Module, batches: Batches, *, amp: torch.dtype | None = None, world: World = ALONE
) -> None:
    """Batch-norm statistics anew, as the plain mean over ``batches``, with the test-time weights.

    BinaryConnect's stochastic mode trains with sampled binary weights but tests with the latent ones,
    whose outputs have another variance; its MNIST experiment recomputes the statistics so.
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    momenta, done = [norm.momentum for norm in norms], 0
    with world.agreed(), norms_apart(model), evaluating(model):
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # cumulative average
            norm.train()
        for images, _ in batches:
            with precise(images.device, amp):
                model(images)
            done += 1
    if norms and not world.alone:
        _add_up(norms, done, world)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


@torch.no_grad()
def _add_up(norms: Sequence[_BatchNorm], done: int, world: World) -> None:
    """The mean over the batches of all processes, of which this one has seen ``done``."""
    buffers = [buffer for norm in norms for buffer in norm.buffers() if buffer.is_floating_point()]
    counts = [norm.num_batches_tracked for norm in norms if norm.num_batches_tracked is not None]
    sums = [buffer.double() * done for buffer in buffers]
    batches = torch.tensor(float(done), dtype=torch.float64, device=next(iter(sums)).device)
    world.add([*sums, batches, *counts])
    for buffer, total in zip(buffers, sums, strict=True):
        buffer.copy_(total / batches)
