"""Opening an image folder: listed at once, decoded batch by batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from bnn_train.data.bundle import Opened, Split
from bnn_train.data.decode import Crop
from bnn_train.data.folder import Listing, by_position, list_images, same_classes
from bnn_train.data.loader import Pictures
from bnn_train.data.names import draw, held_out
from bnn_train.data.normalize import Normalizer
from bnn_train.data.randomness import Ids
from bnn_train.data.sources import FolderSource
from bnn_train.data.splits import first_by_class, hold_out
from bnn_train.errors import DataError
from bnn_train.spec.data import Data, RandomResizedCrop, ResizeCrop
from bnn_train.spec.inputs import evaluation_resize, input_shape


def open_folder(
    config: Data, seed: int, device: torch.device, wanted: set[str], to_fit: Normalizer | None
) -> Opened:
    """ImageNet's layout; listed here, decoded batch by batch. The validation split comes from train/."""
    if to_fit is not None and to_fit.needs_fit:
        raise DataError(
            "data.normalize: pixel_mean and zca need all images in memory; for image folders use mean_std"
        )
    parts = {part: list_images(config, part) for part in _parts(config, wanted)}
    first, *others = parts.values()
    for other in others:
        same_classes(first, other)
    splits, changed = {}, None
    for part, listing in parts.items():
        source = FolderSource(_pictures(config, listing, seed), config.workers, device)
        if part != "train":
            limit = config.test_limit if part == "test" else None
            everything = np.arange(len(listing.labels), dtype=np.int64)
            splits[part] = Split(source, first_by_class(everything, listing.labels, limit))
        else:
            config = _with_split(config, listing, seed)
            train, held, changed = _divided(config, listing, seed)
            splits["train"] = Split(source, first_by_class(train, listing.labels, config.train_limit))
            splits["validation"] = Split(source, held)
    digests = {f"{listing.root.name}/": f"sha256:{listing.fingerprint}" for listing in parts.values()}
    notes = tuple(note for listing in parts.values() for note in listing.notes)
    return Opened(first.classes, splits, digests, config, notes, changed)


def _parts(config: Data, wanted: set[str]) -> Iterator[str]:
    """The folders to list, that of the training images first."""
    apart = config.validation.folder is not None
    if "train" in wanted or ("validation" in wanted and not apart):
        yield "train"
    if "validation" in wanted and apart:
        yield "validation"
    if "test" in wanted:
        yield "test"


def _with_split(config: Data, listing: Listing, seed: int) -> Data:
    """The section, with how its validation images are drawn where it does not say."""
    if config.validation.drawn is not None or by_position(config):
        return config
    drawn = config.validation.model_copy(update={"drawn": draw(config, listing, seed)})
    return config.model_copy(update={"validation": drawn})


def _divided(config: Data, listing: Listing, seed: int) -> tuple[Ids, Ids, str | None]:
    drawn = config.validation.drawn
    if drawn is None:
        return *hold_out(config, [listing.labels], seed), None
    return held_out(listing, drawn)


def _pictures(config: Data, listing: Listing, seed: int) -> Pictures:
    size = input_shape(config)[1]
    resize = evaluation_resize(config)
    crop = _crop(config)
    for name, side in (("data.resize", resize), ("resize_crop's min_side", getattr(crop, "min_side", size))):
        if side < size:
            raise DataError(
                f"{name} is {side}, less than the model's input of {size} pixels; set it to {size} or more"
            )
    if isinstance(crop, ResizeCrop) and crop.max_side < crop.min_side:
        raise DataError(
            f"resize_crop: max_side {crop.max_side} is less than min_side {crop.min_side}; exchange them"
        )
    return Pictures(listing, size, resize, crop, seed, config.exif)


def _crop(config: Data) -> Crop | None:
    match config.augment:
        case ():
            return None
        case (RandomResizedCrop() | ResizeCrop() as crop,):
            return crop
    raise DataError("data.augment: an image folder takes one of random_resized_crop and resize_crop")
