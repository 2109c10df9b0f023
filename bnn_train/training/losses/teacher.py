"""A trained network that another one learns from: frozen, and evaluated as its own run evaluated it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bnn_train.config.local import shown
from bnn_train.config.schema import CheckpointFile
from bnn_train.data.bundle import DataBundle
from bnn_train.errors import RunError, printable
from bnn_train.training.checkpoint import Checkpoint
from bnn_train.training.losses.taps import chosen, tapped
from bnn_train.training.precision import AMP_TYPES, precise
from bnn_train.training.restore import experiment_of, model_of
from bnn_train.training.source import TEACHER, open_source

RTOL, ATOL = 1e-4, 1e-6
"""Tolerance for statistics of the same images, which machines add in other orders."""


class Teacher:
    """The network of a checkpoint; images N×C×H×W → float32 logits N×K without a graph."""

    def __init__(self, checkpoint: Checkpoint, path: str, device: torch.device) -> None:
        self.checkpoint, self.path, self.device = checkpoint, path, device
        self.experiment = experiment_of(checkpoint)
        self.amp = AMP_TYPES[self.experiment.training.amp]
        self.model: nn.Module = model_of(checkpoint, device).requires_grad_(False)

    @property
    def title(self) -> str:
        """The network and its file, for a document that may be given away."""
        return f"{self.experiment.method.name} {self.experiment.model.name} ({shown(self.path)})"

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        with precise(self.device, self.amp):
            logits: Tensor = self.model(images)
        return logits.float()

    def outputs(self, images: Tensor, patterns: Sequence[str]) -> dict[str, Tensor]:
        """The outputs of modules, named by globs, for these images, without a graph."""
        with tapped(self.model, patterns) as found:
            self(images)
        return chosen(found, patterns, "teacher")

    def check(self, data: DataBundle) -> None:
        """Raise RunError unless classes, sizes and normalization of the images are those of its own run."""
        classes, shape = tuple(self.checkpoint.state["classes"]), tuple(self.checkpoint.state["shape"])
        if classes != data.classes:
            raise self._misfit(f"it knows {_named(classes)}, the data has {_named(data.classes)}")
        if shape != data.shape:
            raise self._misfit(f"it reads images {_times(shape)}, the network {_times(data.shape)}")
        if not self._sees_the_same(data):
            raise self._misfit(
                f"its images are normalized by {_steps(self.experiment.data.normalize)}, those of the data by"
                f" {_steps(data.config.normalize)} or with other statistics"
            )

    def _sees_the_same(self, data: DataBundle) -> bool:
        own, others = self.checkpoint.section("preprocess"), data.normalizer.state()
        return (
            _options(self.experiment.data.normalize) == _options(data.config.normalize)
            and {name: t.shape for name, t in own.items()} == {name: t.shape for name, t in others.items()}
            and all(torch.allclose(t, others[name].cpu(), rtol=RTOL, atol=ATOL) for name, t in own.items())
        )

    def _misfit(self, told: str) -> RunError:
        place = f"{TEACHER}: {printable(self.path)}"
        return RunError(f"{place}: {told}; take a teacher that was trained on these data")


def open_teacher(source: CheckpointFile, device: torch.device) -> Teacher:
    """Read a teacher's checkpoint. Raises CheckpointError for another file than the config's."""
    return Teacher(open_source(source, TEACHER)[0], source.checkpoint, device)


def _options(steps: Sequence[Any]) -> list[Mapping[str, Any]]:
    """The steps without their constants, which stand in the state."""
    return [step.model_dump(exclude={"mean", "std"}) for step in steps]


def _steps(steps: Sequence[Any]) -> str:
    return ", ".join(step.name for step in steps) or "nothing"


def _named(classes: Sequence[str]) -> str:
    few = ", ".join(printable(name) for name in classes[:4])
    return f"{len(classes)} classes ({few}{', …' if len(classes) > 4 else ''})"


def _times(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))
