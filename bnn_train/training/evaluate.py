"""One pass over a split that reads the model and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bnn_train.inspect.evaluation import Evaluation, Tally
from bnn_train.training.losses import Criterion
from bnn_train.training.precision import precise

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
) -> Evaluation:
    """Count every image of ``batches`` once; the loss is the mean over the images. ``amp``: the precision of
    the run, so that the function is scored that was trained. ``flips``: of the logits of an image and its
    mirror image the mean. Waits for the device at the end alone."""
    tally = Tally(classes)
    with evaluating(model):
        for images, labels in batches:
            with precise(images.device, amp):
                logits = model(images).float()
                if flips:
                    logits = (logits + model(images.flip(-1)).float()) / 2
                loss = criterion(logits, labels)
            tally.add(logits, labels, loss=loss)
            if see is not None:
                see(logits, labels)
    return tally.result()


def reestimate_norms(model: nn.Module, batches: Batches, *, amp: torch.dtype | None = None) -> None:
    """Batch-norm statistics anew, as the plain mean over ``batches``, with the test-time weights.

    BinaryConnect's stochastic mode trains with sampled binary weights but tests with the latent ones,
    whose outputs have another variance; its MNIST experiment recomputes the statistics so.
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    with evaluating(model):
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # cumulative average
            norm.train()
        for images, _ in batches:
            with precise(images.device, amp):
                model(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
