"""Whole trainings, the data on the device, the network compiled: a speedrun's seconds, a recipe's top-1."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from bnn_train.config.schema import Experiment
from bnn_train.data.bundle import DataBundle
from bnn_train.data.open import open_data
from bnn_train.data.randomness import stream_seed
from bnn_train.files import replace_file
from bnn_train.training.evaluate import evaluate
from bnn_train.training.position import position_of, steps_per_epoch
from bnn_train.training.schedules import learning_rate
from bnn_train.training.setup import Learner, build_learner, build_model
from bnn_train.training.step import Kept, training_step
from gpu.modes import begin_step, set_mode, wait

WARM_STEPS = 3


@dataclass
class Progress:
    """How far a training is."""

    epoch: int = 0
    seconds: float = 0.0
    """Of training, from the first step on; evaluations and compiling not counted."""
    evaluating: float = 0.0
    curve: list[list[float]] = field(default_factory=list)
    """(epochs, test top-1, seconds of training)."""
    reached: float | None = None
    """Seconds of training at the end of the first epoch whose top-1 is at least the target."""
    reached_with_evaluations: float | None = None


class WholeRun:
    """An experiment from its first step on. Order, augmentation, rates, steps are the package's own."""

    def __init__(self, experiment: Experiment, device: torch.device, mode: str, *, rehearse: bool) -> None:
        self.experiment, self.device, self.progress = experiment, device, Progress()
        self.data: DataBundle = open_data(
            experiment.data, seed=experiment.seed, device=device, splits=("train", "test")
        )
        shape, classes = self.data.shape, len(self.data.classes)
        self.model: nn.Module = build_model(experiment, shape, classes, device)
        set_mode(self.model, mode, rehearse=rehearse)
        self.per_epoch = steps_per_epoch(experiment, self.data)
        began = time.perf_counter()
        self._warm_up()
        self.start_s = time.perf_counter() - began
        self.learner: Learner = build_learner(experiment, self.model, device)
        self.kept = Kept(self.model)

    def _warm_up(self) -> None:
        """Compile both passes, then put the weights back."""
        first = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        learner, kept = build_learner(self.experiment, self.model, self.device), Kept(self.model)
        for number, batch in enumerate(self.data.train_batches(0)):
            if number == WARM_STEPS:
                break
            self._step(learner, kept, batch, number)
        self._evaluated(2 * self.data.config.eval_batch_size)
        self.model.load_state_dict(first)
        wait(self.device)

    def _step(
        self, learner: Learner, kept: Kept, batch: tuple[torch.Tensor, torch.Tensor], step: int
    ) -> None:
        e = self.experiment
        rate = learning_rate(
            e.schedule, e.optimizer.lr, step=step, steps_per_epoch=self.per_epoch, epochs=e.training.epochs
        )
        learner.optimizers.set_rate(rate, step // self.per_epoch)
        torch.default_generator.manual_seed(stream_seed(e.seed, "step", step))
        begin_step()
        position = position_of(step, self.per_epoch, e.training.epochs)
        training_step(learner, kept, [batch], position=position, clip=e.training.clip_grad_norm)

    def _evaluated(self, limit: int | None = None) -> float:
        found = evaluate(
            self.model,
            self.data.eval_batches("test", limit=limit),
            classes=len(self.data.classes),
            criterion=self.learner.criterion if hasattr(self, "learner") else _cross_entropy,
            amp={"bf16": torch.bfloat16}.get(self.experiment.training.amp),
        )
        return float(found.top1)

    def epochs(self) -> Iterator[Progress]:
        """Train; after each epoch, evaluate and give the progress."""
        p = self.progress
        while p.epoch < self.experiment.training.epochs:
            wait(self.device)
            began = time.perf_counter()
            self.model.train()
            for number, batch in enumerate(self.data.train_batches(p.epoch, mix=True)):
                self._step(self.learner, self.kept, batch, p.epoch * self.per_epoch + number)
            wait(self.device)
            ended = time.perf_counter()
            top1 = self._evaluated()
            p.seconds, p.evaluating = p.seconds + ended - began, p.evaluating + time.perf_counter() - ended
            p.epoch += 1
            p.curve.append([p.epoch, top1, round(p.seconds, 3)])
            yield p

    def train_to(self, target: float) -> Progress:
        """Train to the end, or to the first epoch with so much top-1."""
        for p in self.epochs():
            if p.curve[-1][1] >= target:
                p.reached, p.reached_with_evaluations = p.seconds, p.seconds + p.evaluating
                break
        return self.progress

    def save(self, path: Path) -> None:
        """Weights and the optimizer's state, to go on from in another call."""
        tensors = {name: tensor.contiguous().cpu() for name, tensor in self.learner.tensors().items()}
        replace_file(path, lambda place: save_file(tensors, place))

    def restore(self, path: Path, progress: dict[str, Any]) -> None:
        """Go on from what ``save`` wrote after so many epochs."""
        sections: dict[str, dict[str, torch.Tensor]] = {"model": {}, "optimizer": {}, "terms": {}, "ema": {}}
        for name, tensor in load_file(path, device=str(self.device)).items():
            section, _, rest = name.partition(".")
            sections[section][rest] = tensor
        self.learner.load(sections, {})
        self.progress = Progress(**progress)


def _cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(logits, labels)
