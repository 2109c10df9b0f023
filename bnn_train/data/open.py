"""``open_data``: from the data section of a config to checked, split, normalized batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from bnn_train.data.bundle import DataBundle
from bnn_train.data.normalize import Normalizer
from bnn_train.data.open_folder import open_folder
from bnn_train.data.open_tensors import open_tensors
from bnn_train.errors import DataError
from bnn_train.files import expanded
from bnn_train.spec.data import Data
from bnn_train.spec.inputs import input_shape, is_folder
from bnn_train.world import ALONE, World

__all__ = ["SPLITS", "DataBundle", "open_data"]

SPLITS = ("train", "validation", "test")


def open_data(
    config: Data,
    *,
    seed: int,
    device: torch.device,
    splits: Sequence[str] = SPLITS,
    preprocess: Mapping[str, Tensor] | None = None,
    world: World = ALONE,
) -> DataBundle:
    """Read, check and split the data.

    ``preprocess``: the normalizer's stored state; with it nothing is fitted, and the test split needs no
    training file. ``seed`` decides order, augmentation and a random validation split. ``world``: the
    processes that share its batches.
    Raises DataError for files or settings that cannot be used, CheckpointError for a foreign ``preprocess``.
    """
    config = config.model_copy(update={"root": str(expanded(config.root))})
    normalizer = Normalizer.of(config, device)
    if preprocess is not None:
        normalizer.load(preprocess)
    opener = open_folder if is_folder(config) else open_tensors
    opened = opener(config, seed, device, set(splits), normalizer if preprocess is None else None)
    bundle = DataBundle(
        config=opened.config or config,
        seed=seed,
        classes=opened.classes,
        shape=input_shape(config),
        normalizer=normalizer,
        splits={name: opened.splits[name] for name in splits},
        digests=opened.digests,
        notes=opened.notes,
        changed=opened.changed,
        choices=opened.choices,
        world=world,
    )
    _check_batch(bundle)
    return bundle


def _check_batch(bundle: DataBundle) -> None:
    if "train" in bundle.splits and bundle.batches_per_epoch == 0:
        raise DataError(
            f"data.batch_size: {bundle.config.batch_size} is more than the {bundle.sizes['train']} training"
            " images, and data.drop_last leaves smaller batches out; lower it, or set data.drop_last to false"
        )
    if bundle.config.batch_size < bundle.world.size:
        raise DataError(
            f"data.batch_size: {bundle.config.batch_size} images for {bundle.world.size} processes, which"
            " share each batch; raise it, or start fewer processes"
        )
