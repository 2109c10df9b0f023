"""One export, step by step: the network, its packed twin, the images to compare them on, the file."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bnn_train import __version__
from bnn_train.config.local import portable
from bnn_train.config.schema import Experiment
from bnn_train.data.normalize import Normalizer
from bnn_train.data.pixels import fitted_normalizer
from bnn_train.export.first import Pixels
from bnn_train.export.flips import check_flips
from bnn_train.export.lower import Lowering, lower
from bnn_train.export.options import Options
from bnn_train.export.parity import Gate, Parity
from bnn_train.export.parity_images import Images as ParityImages
from bnn_train.export.parity_images import parity_images
from bnn_train.export.targets.target import Content
from bnn_train.packed import container
from bnn_train.packed.program import Header, Images, version_of
from bnn_train.packed.runtime import PackedModel
from bnn_train.spec.inputs import evaluation_resize, is_folder
from bnn_train.training.restore import model_of, open_checkpoint

_BATCH_BYTES = 2**28
"""Of all values of a batch, so that the comparison needs no more memory than a training step."""
KINDS = {"unit": "scale01"}
"""Normalization steps that the program calls by another name than the config."""


@dataclass(frozen=True)
class Loss:
    """The cost of the options, on the compared images."""

    changed_top1: int
    largest: float
    """Largest difference of a logit."""
    correct: tuple[int, int] | None
    """Right answers of the trained network and of the packed one, where labels are known."""


class Export:
    """A checkpoint on its way to a packed file."""

    def __init__(self, path: Path, args: argparse.Namespace) -> None:
        self.path = path
        checkpoint, experiment = open_checkpoint(path)
        self.experiment: Experiment = experiment
        self.model = model_of(checkpoint, torch.device("cpu"))
        self.shape = tuple(checkpoint.state["shape"])
        self.normalizer: Normalizer = fitted_normalizer(
            self.experiment.data, checkpoint.section("preprocess")
        )
        self.options = Options(first=args.first, last=args.last, real=args.real, binarize=args.binarize)
        self.args = args
        pixels = pixel_steps(self.normalizer)
        lowered = lower(self.model, self.shape, pixels, self.options)
        self.lowered: Lowering = replace(lowered, notes=(*lowered.notes, *outside(experiment)))
        header = self._header(tuple(checkpoint.state["classes"]))
        self.content = container.pack(header, self.lowered.tensors)
        self.packed = PackedModel.from_parts(
            *container.unpack(self.content), threads=args.threads, kernel=args.kernel
        )

    def _header(self, classes: tuple[str, ...]) -> Header:
        channels, height, width = self.shape
        return Header(
            version=version_of(self.lowered.program),
            images=Images(
                height=height,
                width=width,
                channels=channels,
                resize=resize_of(self.experiment),
                preprocess=self.lowered.preprocess,
                exif=self.experiment.data.exif,
            ),
            classes=classes,
            method=self.experiment.method.name,
            model=self.experiment.model.name,
            program=self.lowered.program,
            experiment=portable(self.experiment),
            made_by=f"bnn_train {__version__}",
        )

    def compare(self) -> Parity:
        """Both networks on the same images. Raises ExportError where they disagree."""
        self.flips = check_flips(self.lowered, self.packed.program, self.packed.tensors)
        self.images: ParityImages = parity_images(
            self.path, self.experiment, self.args.parity_data, self.args.parity_images
        )
        gate = Gate(self.lowered, self.packed, self.normalizer)
        result = gate.run(self._batches())
        self.loss = self._loss() if self.changed else None
        return result

    @property
    def changed(self) -> bool:
        """Whether the options round anything."""
        return self.options != Options()

    def _batches(self) -> Iterator[NDArray[np.uint8]]:
        values = sum(v.height * v.width * v.channels for v in self.lowered.program.values)
        size = max(1, min(64, _BATCH_BYTES // (16 * values)))
        for at in range(0, len(self.images.pixels), size):
            yield self.images.pixels[at : at + size]

    def _loss(self) -> Loss:
        """The packed network against the trained one, before the options' roundings."""
        pairs = [(self.trained(batch), self.packed(batch)) for batch in self._batches()]
        before, after = (np.concatenate(list(side)) for side in zip(*pairs, strict=True))
        labels = self.images.labels
        right = None
        if labels is not None:
            right = (int((before.argmax(1) == labels).sum()), int((after.argmax(1) == labels).sum()))
        changed = int((before.argmax(1) != after.argmax(1)).sum())
        return Loss(changed, float(np.abs(before - after).max()), right)

    def trained(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The trained network's logits for uint8 N×H×W×C."""
        x = torch.from_numpy(images.transpose(0, 3, 1, 2))
        with torch.no_grad():
            logits: Tensor = self.model(self.normalizer(x))
        return logits.numpy()

    @property
    def proven(self) -> Content:
        """The compared content, from which every format is made."""
        return Content(*container.unpack(self.content))


def outside(experiment: Experiment) -> tuple[str, ...]:
    """Sentences on what evaluations of the run do and its exports do not."""
    if not experiment.data.flip_test:
        return ()
    return ("evaluations of the run also see mirror images (data.flip_test); that is no part of the file",)


def pixel_steps(normalizer: Normalizer) -> list[Pixels]:
    """The fitted normalization as the lowering takes it."""
    state = normalizer.state()
    return [
        Pixels(
            KINDS.get(step.name, step.name),
            _options(step.model_dump()),
            {n.partition(".")[2]: t.numpy() for n, t in state.items() if n.startswith(f"{i}.")},
        )
        for i, step in enumerate(normalizer.steps)
    ]


def _options(settings: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key not in ("name", "mean", "std")}


def resize_of(experiment: Experiment) -> int | None:
    """The shorter side before the centre crop, for data sets of pictures; others have their size already."""
    return evaluation_resize(experiment.data) if is_folder(experiment.data) else None
