"""Batches too small for a batch norm, found before the first step."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from bnn_train.config.schema import Experiment
from bnn_train.data.bundle import DataBundle
from bnn_train.errors import RunError
from bnn_train.models.build import build


def check_batches(experiment: Experiment, data: DataBundle) -> None:
    """Raises RunError where a batch that the norms are trained on, or a process's part of it, holds one image
    and the network cannot take one: a batch norm needs two values per channel, which a larger map has in one
    image."""
    lone = list(_lone(experiment, data))
    if lone and not _takes(experiment, data, 1) and _takes(experiment, data, 2):
        raise RunError(
            f"{lone[0]}, and a batch norm of this network has one value per channel there, which has no"
            f" variance; {lone[1]}"
        )


def _lone(experiment: Experiment, data: DataBundle) -> Iterator[str]:
    """The setting that leaves a batch of one image, and how to change it; empty if no batch is so small."""
    images, section = data.sizes.get("train", 0), data.config
    size, batches = section.batch_size, data.batches_per_epoch
    if size == 1:
        yield "data.batch_size is 1"
        yield "set it to 2 or more"
    elif not experiment.training.sync_norms and (parts := _lone_part(data)):
        yield f"{data.world.size} processes share a batch of {parts} images, so that one has a single image"
        yield "set training.sync_norms to true, start fewer processes, or take another data.batch_size"
    elif section.sampling == "shuffle" and batches * size - images == size - 1:
        yield f"data.drop_last is false, and the last of {images} images in batches of {size} is alone"
        yield "set data.drop_last to true, or take another data.batch_size"
    elif (
        experiment.method.norm.reestimate and images % section.eval_batch_size == 1 % section.eval_batch_size
    ):
        yield (
            f"method.norm.reestimate reads {images} training images in batches of"
            f" {section.eval_batch_size} (data.eval_batch_size), and the last is alone"
        )
        yield "take another data.eval_batch_size"


def _lone_part(data: DataBundle) -> int:
    """The size of a batch of which a process has one image; 0 where there is none."""
    if data.world.alone:
        return 0
    sizes = {data.counts(number).whole for number in (0, data.batches_per_epoch - 1)}
    return next((size for size in sorted(sizes) if size // data.world.size <= 1), 0)


def _takes(experiment: Experiment, data: DataBundle, images: int) -> bool:
    """Whether the network trains on so many images; tried without memory for its weights."""
    with torch.device("meta"):
        model = build(experiment.model, experiment.method, data.shape, len(data.classes)).train()
        try:
            model(torch.empty(images, *data.shape))
        except ValueError:
            return False
    return True
