"""Opening an image folder: listed at once, decoded batch by batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from bnn_train.data.bundle import Opened, Split
from bnn_train.data.decode import Crop
from bnn_train.data.folder import Listing, by_position, list_images, same_classes
from bnn_train.data.loader import PICTURE_MODES, Pictures
from bnn_train.data.names import draw, held_out
from bnn_train.data.normalize import Normalizer
from bnn_train.data.own import own_parts
from bnn_train.data.randomness import Ids
from bnn_train.data.resident import Kept
from bnn_train.data.sources import FolderSource
from bnn_train.data.splits import first_by_class, hold_out
from bnn_train.data.statistics import of_files
from bnn_train.errors import DataError
from bnn_train.spec.augment import RandomResizedCrop, ResizeCrop, Varied
from bnn_train.spec.data import Data
from bnn_train.spec.inputs import evaluation_resize, input_shape, is_own


def open_folder(
    config: Data, seed: int, device: torch.device, wanted: set[str], to_fit: Normalizer | None
) -> Opened:
    """Files, listed here and decoded batch by batch. The validation split comes from those for training."""
    if to_fit is not None and to_fit.needs_fit:
        raise DataError(
            "data.normalize: pixel_mean and zca need all images in memory; for image folders use mean_std"
        )
    measures = to_fit is not None and to_fit.needs_statistics
    config, parts, choices = _listed(config, wanted | ({"train"} if measures else set()))
    first, *others = parts.values()
    for other in others:
        same_classes(first, other)
    splits, changed = {}, None
    for part, listing in parts.items():
        source = FolderSource(_pictures(config, listing, seed), config.workers, device)
        if part != "train":
            limit = config.test_limit if part == "test" else config.validation_limit
            everything = np.arange(len(listing.labels), dtype=np.int64)
            splits[part] = Split(source, first_by_class(everything, listing.labels, limit))
        else:
            config = _with_split(config, listing, seed)
            train, held, changed = _divided(config, listing, seed)
            if to_fit is not None and measures:
                config = _with_statistics(config, source, to_fit)
            splits["train"] = Split(source, first_by_class(train, listing.labels, config.train_limit))
            few = first_by_class(held, listing.labels, config.validation_limit)
            splits["validation"] = Split(source, few)
    _keep(splits, config, device)
    digests = {listing.called: f"sha256:{listing.fingerprint}" for listing in parts.values()}
    notes = tuple(note for listing in parts.values() for note in listing.notes)
    return Opened(first.classes, splits, digests, config, notes, changed, choices)


def _keep(splits: dict[str, Split], config: Data, device: torch.device) -> None:
    """Let the validation pictures stay where there is training, after each epoch of which they are shown."""
    if "train" not in splits or "validation" not in splits:
        return
    source, positions = splits["validation"].source, splits["validation"].positions
    if isinstance(source, FolderSource):
        source.kept = Kept(positions, config.resident, device)


def _listed(config: Data, wanted: set[str]) -> tuple[Data, dict[str, Listing], tuple[str, ...]]:
    """The section with where its parts were found, the parts, and what was taken by default."""
    if not is_own(config):
        return config, {part: list_images(config, part) for part in _parts(config, wanted)}, ()
    own = own_parts(config)
    config = config.model_copy(update={"found": own.found})
    chosen = set(_parts(config, wanted))
    return config, {part: own.listings[part] for part in own.listings if part in chosen}, own.choices


def _with_statistics(config: Data, source: FolderSource, normalizer: Normalizer) -> Data:
    """The section with the statistics of its training images, told to the normalizer."""
    everything = np.arange(len(source.pictures.listing.labels), dtype=np.int64)
    spares = everything if config.on_error == "skip" else None
    found = of_files(source, config.eval_batch_size, spares)
    normalizer.measured(found.mean, found.std)
    return config.model_copy(update={"statistics": found})


def _parts(config: Data, wanted: set[str]) -> Iterator[str]:
    """The folders to list, that of the training images first."""
    found = config.found is not None and config.found.validation is not None
    apart = found or config.validation.folder is not None
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
    crop, rest = _steps(config)
    for name, side in (("data.resize", resize), ("resize_crop's min_side", getattr(crop, "min_side", size))):
        if side < size:
            raise DataError(
                f"{name} is {side}, less than the model's input of {size} pixels; set it to {size} or more"
            )
    if isinstance(crop, ResizeCrop) and crop.max_side < crop.min_side:
        raise DataError(
            f"resize_crop: max_side {crop.max_side} is less than min_side {crop.min_side}; exchange them"
        )
    mode = PICTURE_MODES[input_shape(config)[0]]
    return Pictures(listing, size, resize, crop, seed, config.exif, mode=mode, vary=rest)


def _steps(config: Data) -> tuple[Crop | None, tuple[Varied, ...]]:
    """The crop, if there is one, and what changes the cropped image."""
    first = config.augment[0] if config.augment else None
    crop = first if isinstance(first, RandomResizedCrop | ResizeCrop) else None
    rest = tuple(step for step in config.augment if isinstance(step, Varied))
    if len(rest) + (crop is not None) < len(config.augment):
        raise DataError(
            "data.augment: an image folder takes one of random_resized_crop and resize_crop, first, and then"
            " rand_augment, color_jitter and random_erasing"
        )
    return crop, rest
