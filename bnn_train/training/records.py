"""Evaluations, metrics and checkpoints of a run while it goes."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from bnn_train.binary.layers import binary_layers
from bnn_train.binary.placed import place
from bnn_train.config.local import portable
from bnn_train.config.plugins import origins
from bnn_train.config.schema import Experiment
from bnn_train.data.open import DataBundle
from bnn_train.inspect import diagnostics
from bnn_train.inspect.evaluation import Evaluation
from bnn_train.inspect.filters import first_filters
from bnn_train.inspect.histograms import is_told, latent_histograms
from bnn_train.report.metrics import MetricsLog
from bnn_train.report.pictures import filter_sheet
from bnn_train.spec.annealed import Position
from bnn_train.training import checkpoint as ckpt
from bnn_train.training.checkpoint import Checkpoint
from bnn_train.training.console import Console
from bnn_train.training.evaluate import evaluate, reestimate_norms
from bnn_train.training.folder import RunFolder
from bnn_train.training.losses import criterion
from bnn_train.training.position import position_of, steps_per_epoch
from bnn_train.training.progress import Meter, Progress
from bnn_train.training.setup import Learner

SELECTION_SPLITS = {"validation": "validation", "test": "test", "last": None}
"""By ``training.select`` the split that decides, under whose name its results stand in the history."""


@dataclass
class Recorder:
    """Finishes epochs and saves; ``signs`` are the packed weight signs at the last epoch's end."""

    experiment: Experiment
    data: DataBundle
    learner: Learner
    folder: RunFolder
    log: MetricsLog
    signs: dict[str, Tensor]
    console: Console = field(default_factory=Console)
    saved_step: int = 0
    saved_at: float = 0.0
    told: set[str] = field(default_factory=set)
    """Sentences about the data that the terminal has shown."""

    @property
    def _per_epoch(self) -> int:
        return steps_per_epoch(self.experiment, self.data)

    def begins(self, progress: Progress) -> None:
        """Take the disk to be as far as ``progress``, and let the time until the next checkpoint run."""
        self.saved_step, self.saved_at = progress.step, time.monotonic()

    def is_due(self, progress: Progress, *, at_end: bool, late: bool) -> bool:
        """Whether a checkpoint inside the epoch is due, by steps or, if it is ``late``, by the clock; its end
        saves anyway."""
        every = self.experiment.training.checkpoint_every
        if at_end:
            return False
        return late or bool(every and progress.step % every == 0)

    def is_late(self) -> bool:
        """Whether a checkpoint is due by the clock."""
        minutes = self.experiment.training.checkpoint_minutes
        return minutes > 0 and time.monotonic() - self.saved_at >= 60 * minutes

    def tell(self, sentences: Iterable[str]) -> None:
        """Show what is new of these, apart from the results on stdout."""
        for sentence in sentences:
            if sentence not in self.told:
                self.console.note(f"note: {sentence}")
                self.told.add(sentence)

    def save(self, progress: Progress, *, best: bool = False) -> None:
        """Write ``last``; the one before stays as ``previous``.

        ``best``: this is also the chosen one. It gets that name first: after a kill between the two, the
        older ``last`` leads to the same weights again, while a newer ``last`` would pass over this epoch.
        """
        folder = self.folder.checkpoints
        progress.damaged += self.data.take_damaged() if self.data.world.alone else 0
        if not self.folder.is_ours:
            self.begins(progress)
            return
        tensors = self.learner.tensors()
        tensors |= {f"preprocess.{name}": t for name, t in self.data.normalizer.state().items()}
        tensors |= {f"signs.{name}": t for name, t in self.signs.items()}
        state = {
            "experiment": portable(self.experiment),
            "classes": list(self.data.classes),
            "shape": list(self.data.shape),
            "progress": progress.to_json(),
            "scaler": self.learner.scaler.state_dict(),
            "steps_per_epoch": self._per_epoch,
        }
        if used := origins(self.experiment):
            state["plugins"] = used
        if best:
            ckpt.write(folder / ckpt.BEST, Checkpoint(tensors, state))
        if (folder / ckpt.LAST).exists():
            ckpt.link(folder / ckpt.LAST, folder / ckpt.PREVIOUS)
        if best:
            ckpt.link(folder / ckpt.BEST, folder / ckpt.LAST)
        else:
            ckpt.write(folder / ckpt.LAST, Checkpoint(tensors, state))
        self.begins(progress)

    def finish_epoch(self, progress: Progress, epoch: int) -> None:
        """Evaluate, log, choose, save; the progress then stands at the start of the next epoch."""
        position = self._place(progress)
        split = SELECTION_SPLITS[self.experiment.training.select]
        if split is None and self.data.sizes.get("validation"):
            split = "validation"
        world, found = self.data.world, self._evaluated(split)
        self.data.add_up_remarks()
        with world.agreed():
            self._finish(progress, epoch, position, found)
        world.agree(self.learner.model.state_dict())

    def _finish(self, progress: Progress, epoch: int, position: Position, found: dict[str, float]) -> None:
        progress.damaged += self.data.take_damaged() if self.data.world.alone else 0
        entry = self._entry(progress, epoch, found)
        self.tell(self.data.remarks)
        score = entry.get(f"{SELECTION_SPLITS[self.experiment.training.select]}_top1", float(epoch))
        if not self.experiment.method.weight.progress.ends(position):
            score = -1.0  # of another network than the run ends with
        best = score >= progress.best_score  # on a tie the later epoch, as the papers' code has it
        if best:
            progress.best_score, progress.best_epoch = score, epoch + 1
        progress.history.append(entry)
        progress.epochs_finished, progress.meter = epoch + 1, Meter()
        progress.damaged = 0
        self.signs = diagnostics.packed_codes(self.learner.model)
        self.save(progress, best=best)

    def finish_untrained(self, progress: Progress) -> None:
        """Evaluate and save a network that is not trained."""
        self._place(progress)
        entry = self._evaluated(SELECTION_SPLITS[self.experiment.training.select])
        with self.data.world.agreed():
            if entry:
                self.log.write("untrained", progress.step, 0, **entry)
                split = SELECTION_SPLITS[self.experiment.training.select]
                self.console.line(f"untrained  {split} {entry[f'{split}_top1']:.2f} %")
            self.save(progress, best=True)

    def _evaluated(self, split: str | None) -> dict[str, float]:
        """Loss and top-k on a split, if one is named, after the norms' statistics are estimated anew where
        the method does so."""
        if self.experiment.method.norm.reestimate:
            batches = self.data.eval_batches("train", scored=False, shared=True)
            reestimate_norms(self.learner.evaluated, batches, amp=self.learner.amp, world=self.data.world)
        return {} if split is None else _prefixed(split, self.evaluate(split))

    def _place(self, progress: Progress) -> Position:
        """Let both networks compute as a checkpoint that is saved now will."""
        position = position_of(progress.step, self._per_epoch, self.experiment.training.epochs)
        place(self.learner.model, position)
        place(self.learner.evaluated, position)
        return position

    def _entry(self, progress: Progress, epoch: int, found: dict[str, float]) -> dict[str, Any]:
        model, step = self.learner.model, progress.step
        entry: dict[str, Any] = {
            "lr": self.learner.optimizers.rate,
            "train_loss": progress.meter.mean_loss,
            "train_top1": progress.meter.top1,
        }
        if self.experiment.data.on_error == "skip":
            entry["train_damaged"] = progress.damaged
        entry |= found
        if self.learner.scaler.is_enabled():
            entry["skipped_steps"] = progress.skipped
        flips = diagnostics.flip_rates(model, self.signs)
        if flips:
            entry["flip_rate"] = _mean_flips(flips, model)
        seconds, images = progress.seconds, (epoch + 1) * max(1, progress.meter.seen)
        speed = images / seconds if seconds else 0.0
        self.log.write(
            "epoch", step, epoch + 1, **entry, images_per_s=speed, seconds=seconds, layers=self._layers(flips)
        )
        self._histograms(step)
        if is_told(epoch + 1, self.experiment.training.epochs):
            self._tell_weights(step, epoch + 1)
        entry["epoch"] = epoch + 1
        self.console.line(_line(entry, self.experiment.training.epochs, speed))
        return entry

    def evaluate(self, split: str) -> Evaluation:
        """The evaluated model on a split."""
        return evaluate(
            self.learner.evaluated,
            self.console.bar(self.data.eval_batches(split, shared=True), name=split),
            classes=len(self.data.classes),
            criterion=criterion(self.experiment.loss).scored,
            amp=self.learner.amp,
            flips=self.experiment.data.flip_test,
            world=self.data.world,
        )

    def _layers(self, flips: dict[str, float]) -> dict[str, dict[str, float]]:
        """Per layer: flip rate, share at the clip, balance, and the activations' signs."""
        layers = diagnostics.latent_statistics(self.learner.model)
        for name, rate in flips.items():
            layers.setdefault(name, {})["flip_rate"] = rate
        split = "validation" if self.data.sizes.get("validation") else "train"
        images, _ = next(iter(self.data.eval_batches(split, limit=256, scored=False)))
        for name, statistics in diagnostics.activation_statistics(self.learner.model, images).items():
            layers.setdefault(name, {}).update({f"input_{key}": value for key, value in statistics.items()})
        return layers

    def _histograms(self, step: int) -> None:
        for name, layer in binary_layers(self.learner.model):
            self.log.histogram(f"latent/{name}", layer.weight.detach(), step)

    def _tell_weights(self, step: int, epoch: int) -> None:
        """Histograms of the latent weights, and the first layer's filters as a picture."""
        histograms = latent_histograms(self.learner.model)
        if histograms:
            self.log.write("latents", step, epoch, **histograms)
        if self.log.shows_images:
            filters = first_filters(self.learner.model, self.data.shape)
            if filters is not None:
                self.log.image("filters/first layer", filter_sheet(filters), step)


def _prefixed(split: str, result: Evaluation) -> dict[str, float]:
    return {f"{split}_loss": result.loss, f"{split}_top1": result.top1, f"{split}_top5": result.top5}


def _mean_flips(flips: dict[str, float], model: torch.nn.Module) -> float:
    """Over all binary weights."""
    sizes = {name: layer.weight.numel() for name, layer in binary_layers(model)}
    return sum(flips[name] * sizes[name] for name in flips) / sum(sizes[name] for name in flips)


def _line(entry: dict[str, Any], epochs: int, speed: float) -> str:
    parts = [
        f"epoch {entry['epoch']:>{len(str(epochs))}}/{epochs}",
        f"loss {entry['train_loss']:.4f}",
        f"train {entry['train_top1']:.2f} %",
    ]
    parts += [
        f"{split} {entry[f'{split}_top1']:.2f} %"
        for split in ("validation", "test")
        if f"{split}_top1" in entry
    ]
    if "flip_rate" in entry:
        parts.append(f"flips {100 * entry['flip_rate']:.2f} %")
    if entry.get("train_damaged"):
        parts.append(f"damaged {entry['train_damaged']}")
    return "  ".join([*parts, f"lr {entry['lr']:.3g}", f"{speed:,.0f} images/s"])
