"""Opening the small sets: one uint8 tensor."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from bnn_train.data.bundle import Opened, Split
from bnn_train.data.normalize import Normalizer, chunks
from bnn_train.data.readers import FileSet, read
from bnn_train.data.resident import has_room
from bnn_train.data.sources import BatchStep, TensorSource
from bnn_train.data.splits import hold_out
from bnn_train.data.statistics import of_batches
from bnn_train.errors import DataError
from bnn_train.spec.augment import Varied
from bnn_train.spec.data import Data
from bnn_train.spec.datasets import DATASETS
from bnn_train.spec.inputs import input_shape, num_classes

CPU = torch.device("cpu")


def open_tensors(
    config: Data, seed: int, device: torch.device, wanted: set[str], to_fit: Normalizer | None
) -> Opened:
    """Small sets, whole in memory. ``to_fit``: fitted here on all training images."""
    augment = _augment_of_tensors(config)
    opened = Opened(DATASETS[config.name].classes or tuple(map(str, range(num_classes(config)))), {}, {})

    def source(images: Tensor, labels: Tensor) -> TensorSource:
        home = device if has_room(config.resident, images.numel(), device) else CPU
        return TensorSource(images.to(home), labels.to(home), augment, seed, device)

    if wanted & {"train", "validation"} or (
        to_fit is not None and (to_fit.needs_fit or to_fit.needs_statistics)
    ):
        parts = [read(config, part) for part in ("train", *(["extra"] if config.extra else []))]
        train, held = hold_out(config, [part.labels.numpy() for part in parts], seed)
        images = _sized(_joined([part.images for part in parts]), config)
        if to_fit is not None:
            if to_fit.needs_statistics:
                opened = opened._replace(config=_with_statistics(config, images, parts, to_fit))
            to_fit.fit(images)
        both = source(images, _joined([part.labels for part in parts]))
        opened.splits.update(
            train=Split(both, train[: config.train_limit]),
            validation=Split(both, held[: config.validation_limit]),
        )
        for part in parts:
            opened.digests.update(part.digests)
    if "test" in wanted:
        test = read(config, "test")
        positions = np.arange(len(test.labels), dtype=np.int64)[: config.test_limit]
        opened.splits["test"] = Split(source(_sized(test.images, config), test.labels), positions)
        opened.digests.update(test.digests)
    return opened


def _with_statistics(config: Data, images: Tensor, parts: list[FileSet], normalizer: Normalizer) -> Data:
    read_files = sorted(f"{name} {digest}" for part in parts for name, digest in part.digests.items())
    found = of_batches(chunks(images), hashlib.sha256("\0".join(read_files).encode()).hexdigest())
    normalizer.measured(found.mean, found.std)
    return config.model_copy(update={"statistics": found})


def _joined(tensors: list[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors)


def _augment_of_tensors(config: Data) -> tuple[BatchStep | Varied, ...]:
    fitting = tuple(step for step in config.augment if isinstance(step, BatchStep | Varied))
    if len(fitting) < len(config.augment):
        raise DataError(
            f"data.augment: {config.name} knows no crop but pad_crop_flip; the others are for image folders"
        )
    return fitting


def _sized(images: Tensor, config: Data) -> Tensor:
    """uint8 at the size of the model's input; resized on the CPU, antialiased, rounded to uint8."""
    _, height, width = input_shape(config)
    if images.shape[2:] == (height, width):
        return images
    resized = (
        interpolate(chunk.float(), (height, width), mode="bilinear", antialias=True)
        .round_()
        .clamp_(0, 255)
        .byte()
        for chunk in chunks(images)
    )
    return torch.cat(list(resized))
