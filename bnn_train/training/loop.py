"""The training loop, in plain statements."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice

import torch
from torch import nn

from bnn_train.config.schema import Experiment
from bnn_train.data.open import DataBundle
from bnn_train.data.randomness import stream_seed
from bnn_train.errors import NonFiniteError
from bnn_train.report.metrics import MetricsLog
from bnn_train.spec.annealed import Position
from bnn_train.training.position import position_of, steps_per_epoch
from bnn_train.training.progress import Progress
from bnn_train.training.records import Recorder
from bnn_train.training.rescue import nothing_lost
from bnn_train.training.schedules import learning_rate
from bnn_train.training.setup import Learner
from bnn_train.training.signals import StopRequest, stopped
from bnn_train.training.step import Batch, Kept, Sums, training_step
from bnn_train.training.sums import EpochSums
from bnn_train.training.together import Meeting, Together

LEAST_SCALE = 1.0
"""A gradient that overflows without being scaled up is no number by itself."""


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
    kept, console = Kept(learner.model), recorder.console
    meeting = Meeting(data.world, stop, recorder.is_late)
    together = None if data.world.alone else Together(learner, data)
    recorder.begins(progress)
    if not training.epochs:
        recorder.finish_untrained(progress)
    for epoch in range(progress.epochs_finished, training.epochs):
        sums = EpochSums(progress.meter, learner.device)
        rate = partial(_rate, experiment, per_epoch)
        check = partial(check_finite, learner.model, sums, progress, rate, per_epoch)
        with nothing_lost(recorder, progress, check):
            done = progress.step - epoch * per_epoch
            batches = data.train_batches(epoch, skip=done * training.accumulate, mix=True)
            learner.model.train()
            clock = time.perf_counter()
            steps = groups(batches, training.accumulate)
            told = partial(_live, sums, progress, epoch, per_epoch)
            bar = console.bar(steps, name=f"epoch {epoch + 1}", total=per_epoch, done=done)
            for group in meeting.each(bar):
                learner.optimizers.set_rate(rate(progress.step), epoch)
                position = position_of(progress.step, per_epoch, training.epochs)
                sums.add(_step(experiment, learner, kept, group, position, progress, together), progress.step)
                progress.step += 1
                clock, before = time.perf_counter(), clock
                progress.seconds += clock - before
                console.beat(bar, told)
                if progress.step % training.log_every == 0:
                    check()
                    _write(log, progress, epoch, rate(progress.step - 1), learner)
                number = meeting.signal
                if number is not None:
                    check()
                    with data.world.agreed():
                        recorder.save(progress)
                    raise stopped(
                        number, f"after step {progress.step} (epoch {epoch + 1}); saved, go on with --resume"
                    )
                at_end = progress.step == (epoch + 1) * per_epoch
                if recorder.is_due(progress, at_end=at_end, late=meeting.late):
                    check()
                    with data.world.agreed():
                        recorder.save(progress)
            check()
            progress.seconds += time.perf_counter() - clock
            recorder.finish_epoch(progress, epoch)


def _rate(experiment: Experiment, per_epoch: int, step: int) -> float:
    return learning_rate(
        experiment.schedule,
        experiment.optimizer.lr,
        step=step,
        steps_per_epoch=per_epoch,
        epochs=experiment.training.epochs,
    )


def _step(
    experiment: Experiment,
    learner: Learner,
    kept: Kept,
    group: list[Batch],
    position: Position,
    progress: Progress,
    together: Together | None,
) -> list[Sums]:
    """The step, repeated on the same images at half the loss scale as long as fp16 overflows."""
    step = partial(
        training_step, learner, kept, group, position=position, clip=experiment.training.clip_grad_norm
    )
    while True:
        if together is None:
            _seed(learner.device, stream_seed(experiment.seed, "step", progress.step))
            seen = step()
            sums = None if seen is None else [one.sums for one in seen]
        else:
            _seed(learner.device, stream_seed(experiment.seed, "step", progress.step, together.world.rank))
            sums = together.step(step, experiment, progress, len(group))
        if sums is not None:
            return sums
        progress.skipped += 1
        if learner.scaler.get_scale() < LEAST_SCALE:
            raise NonFiniteError(
                f"the gradient is not finite at step {progress.step + 1} at any loss scale; the checkpoints"
                " before it are intact: lower optimizer.lr, or use training.amp bf16"
            )


def _seed(device: torch.device, seed: int) -> None:
    """Seed the generators that a step draws from; ``torch.manual_seed`` asks every backend, which takes 80
    µs."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def _live(sums: EpochSums, progress: Progress, epoch: int, per_epoch: int) -> tuple[str, str]:
    """Where the epoch stands, and its loss and top-1 so far."""
    sums.read()
    meter, step = progress.meter, progress.step - epoch * per_epoch
    place = f"epoch {epoch + 1}  step {step:,} of {per_epoch:,}"
    return place, f"loss {meter.mean_loss:.4f}  train {meter.top1:.2f} %"


def _write(log: MetricsLog, progress: Progress, epoch: int, lr: float, learner: Learner) -> None:
    meter = progress.meter
    values = {"skipped_steps": progress.skipped} if learner.scaler.is_enabled() else {}
    log.write("step", progress.step, epoch + 1, lr=lr, loss=meter.mean_loss, top1=meter.top1, **values)


def groups(batches: Iterable[Batch], size: int) -> Iterator[list[Batch]]:
    """Lists of ``size`` batches; the last may be shorter."""
    iterator = iter(batches)
    while group := list(islice(iterator, size)):
        yield group


def check_finite(
    model: nn.Module, sums: EpochSums, progress: Progress, rate: Callable[[int], float], per_epoch: int
) -> None:
    """Read the sums into the meter; NonFiniteError if the loss or a parameter is no number. A NaN latent
    weight binarizes to a finite network and hides from the loss, so the weights are read too."""
    lost = sums.read()
    if lost is not None:
        raise _diverged("the training loss", lost, per_epoch, rate)
    named = dict(model.named_parameters())
    finite = torch.stack([torch.isfinite(parameter).all() for parameter in named.values()]).tolist()
    for name, is_finite in zip(named, finite, strict=True):
        if not is_finite:
            raise _diverged(f"the parameter {name}", max(0, progress.step - 1), per_epoch, rate)


def _diverged(what: str, step: int, per_epoch: int, rate: Callable[[int], float]) -> NonFiniteError:
    return NonFiniteError(
        f"{what} is no longer finite at step {step + 1} (epoch {step // per_epoch + 1}, learning rate"
        f" {rate(step):g}); the checkpoints before it are intact: lower optimizer.lr, or set"
        " training.clip_grad_norm"
    )
