"""The training loop, in plain statements."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from itertools import islice

import torch
from torch import Tensor, nn
from tqdm import tqdm

from bnn_train.binary.latent import enforce
from bnn_train.config.schema import Experiment
from bnn_train.data.open import DataBundle
from bnn_train.data.randomness import stream_seed
from bnn_train.errors import Interrupted, NonFiniteError
from bnn_train.report.metrics import MetricsLog
from bnn_train.training.progress import Progress
from bnn_train.training.records import Recorder
from bnn_train.training.schedules import learning_rate
from bnn_train.training.setup import Learner
from bnn_train.training.signals import StopRequest

Batch = tuple[Tensor, Tensor]


def steps_per_epoch(experiment: Experiment, data: DataBundle) -> int:
    """Optimizer steps in an epoch; the last may have fewer batches than ``accumulate``."""
    return math.ceil(data.batches_per_epoch / experiment.training.accumulate)


def train(
    experiment: Experiment,
    data: DataBundle,
    learner: Learner,
    progress: Progress,
    recorder: Recorder,
    log: MetricsLog,
    stop: StopRequest,
) -> None:
    """Run from ``progress.step`` to the last epoch's end. The position of a run is that one number:
    order, augmentation, learning rate and every draw of a step are functions of it and of the seed."""
    training, per_epoch = experiment.training, steps_per_epoch(experiment, data)
    model, optimizers, scaler = learner.model, learner.optimizers, learner.scaler
    for epoch in range(progress.epochs_finished, training.epochs):
        done = progress.step - epoch * per_epoch
        batches = data.train_batches(epoch, skip=done * training.accumulate)
        model.train()
        clock = time.perf_counter()
        steps = groups(batches, training.accumulate)
        name = f"epoch {epoch + 1}"
        for group in tqdm(steps, total=per_epoch, initial=done, desc=name, leave=False, disable=None):
            lr = learning_rate(
                experiment.schedule,
                experiment.optimizer.lr,
                step=progress.step,
                steps_per_epoch=per_epoch,
                epochs=training.epochs,
            )
            optimizers.set_rate(lr, epoch)
            torch.manual_seed(stream_seed(experiment.seed, "step", progress.step))
            optimizers.zero_grad()
            total = sum(len(labels) for _, labels in group)
            for images, labels in group:
                with torch.autocast(learner.device.type, learner.amp, enabled=learner.amp is not None):
                    logits = model(images)
                    loss = learner.criterion(logits.float(), labels)
                scaler.scale(loss * (len(labels) / total)).backward()  # type: ignore[no-untyped-call]  # in torch
                _count(progress, loss, logits, labels)
            if not math.isfinite(progress.meter.loss):
                raise _diverged("the training loss", progress, epoch, lr)
            if training.clip_grad_norm is not None:
                optimizers.unscale(scaler)
                nn.utils.clip_grad_norm_(model.parameters(), training.clip_grad_norm)
            optimizers.step(scaler)
            enforce(model)
            if learner.average is not None:
                learner.average.update_parameters(model)
            progress.step += 1
            clock, before = time.perf_counter(), clock
            progress.seconds += clock - before
            at_end = progress.step == (epoch + 1) * per_epoch
            if progress.step % training.log_every == 0:
                check_finite(model, progress, epoch, lr)
                log.write(
                    "step",
                    progress.step,
                    epoch + 1,
                    lr=lr,
                    loss=progress.meter.mean_loss,
                    top1=progress.meter.top1,
                )
            if stop.signal is not None:
                check_finite(model, progress, epoch, lr)
                recorder.save(progress)
                raise Interrupted(
                    f"stopped by {stop.signal.name} after step {progress.step} (epoch {epoch + 1});"
                    " saved, go on with --resume",
                    stop.exit_code,
                )
            if training.checkpoint_every and progress.step % training.checkpoint_every == 0 and not at_end:
                check_finite(model, progress, epoch, lr)
                recorder.save(progress)
        check_finite(model, progress, epoch, lr=math.nan)
        recorder.finish_epoch(progress, epoch)


def groups(batches: Iterable[Batch], size: int) -> Iterator[list[Batch]]:
    """Lists of ``size`` batches; the last may be shorter."""
    iterator = iter(batches)
    while group := list(islice(iterator, size)):
        yield group


def _count(progress: Progress, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
    correct = int((logits.argmax(dim=1) == labels).sum())
    progress.meter.add(loss=loss.item(), correct=correct, seen=len(labels))


def check_finite(model: nn.Module, progress: Progress, epoch: int, lr: float) -> None:
    """A NaN latent weight binarizes to a finite network and hides from the loss, so the weights are read."""
    for name, parameter in model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise _diverged(f"the parameter {name}", progress, epoch, lr)


def _diverged(what: str, progress: Progress, epoch: int, lr: float) -> NonFiniteError:
    rate = "" if math.isnan(lr) else f", learning rate {lr:g}"
    return NonFiniteError(
        f"{what} is no longer finite at step {progress.step + 1} (epoch {epoch + 1}{rate}); the checkpoints"
        " before it are intact: lower optimizer.lr, or set training.clip_grad_norm"
    )
