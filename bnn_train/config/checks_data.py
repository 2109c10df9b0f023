"""Data sections that cannot work: with their data set, within themselves, or with the network."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from bnn_train.config.schema import (
    LCN,
    ZCA,
    Data,
    Experiment,
    MeanStd,
    Normalization,
    PadCropFlip,
    RandomErasing,
    RandomResizedCrop,
    ResizeCrop,
    Varied,
)
from bnn_train.config.yaml_reader import KeyPath
from bnn_train.spec.affine import Affine
from bnn_train.spec.datasets import DATASETS
from bnn_train.spec.inputs import evaluation_resize, input_shape, is_folder, validation_share, validation_size
from bnn_train.spec.limits import LEAST_REAL, MAX_KERNEL, MAX_REAL, MAX_RESIZE, MAX_WORK

Problems = Iterator[tuple[KeyPath, str]]


def network_fits(e: Experiment) -> Problems:
    """Whether the images are large enough, and square where they must be."""
    _, height, width = input_shape(e.data)
    least = e.model.least_pixels
    path: KeyPath = ("data", "image_size") if e.data.image_size else ("model",)
    if min(height, width) < least:
        yield (
            path,
            f"{e.model.name} needs images of {least}×{least} pixels or more, and {e.data.name} gives"
            f" {height}×{width}; set data.image_size or choose another network",
        )
    if e.model.square and height != width:
        yield path, f"{e.model.name} needs square images, not {height}×{width}; set data.image_size"


_FOLDERS = tuple(name for name, row in DATASETS.items() if row.layout == "folder")
_OWN = tuple(name for name, row in DATASETS.items() if row.own)


def _belongs(d: Data) -> Problems:
    """Keys that only some data sets have."""
    owners: dict[str, tuple[bool, tuple[str, ...]]] = {
        "extra": (d.extra, ("svhn",)),
        "shape": (d.shape is not None, ("synthetic",)),
        "num_classes": (d.num_classes is not None, ("synthetic", *_FOLDERS)),
        "resize": (d.resize is not None, _FOLDERS),
        "test_folder": (d.test_folder is not None, _FOLDERS),
        "exif": (d.exif != "ignore", _FOLDERS),
        "channels": (d.channels is not None, _OWN),
        "test_split": (d.test_split is not None, _OWN),
        "found": (d.found is not None, _OWN),
        "validation.share": (d.validation.share is not None, _OWN),
        "statistics": (d.statistics is not None, tuple(n for n, row in DATASETS.items() if not row.mean)),
        "validation.by": (d.validation.by != "name", _FOLDERS),
        "validation.drawn": (d.validation.drawn is not None, _FOLDERS),
        "validation.folder": (d.validation.folder is not None, _FOLDERS),
        "on_error": (d.on_error != "fail", _FOLDERS),
    }
    for key, (is_set, names) in owners.items():
        if is_set and d.name not in names:
            yield ("data", *key.split(".")), f"belongs to {_listed(names)}, not to {d.name}; remove it"
    if d.download and is_folder(d):
        yield ("data", "download"), f"{d.name} cannot be downloaded; {DATASETS[d.name].how_to_get}"


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _sizes(d: Data) -> Problems:
    row = DATASETS[d.name]
    available = row.train + (row.extra if d.extra else 0)
    held_out = validation_size(d)
    if held_out >= available and not row.own:
        yield ("data", "validation", "size"), f"must leave images to train on; {d.name} has {available}"
        return
    left = min(available - held_out, d.train_limit or available)
    if row.layout == "tensor" and d.drop_last and d.batch_size > left:
        key = "train_limit" if d.train_limit and d.train_limit < d.batch_size else "batch_size"
        yield ("data", key), f"no whole batch of {d.batch_size} fits into the {left} training images"
    if d.resize is not None and d.resize < input_shape(d)[1]:
        yield ("data", "resize"), f"must be at least the size that is cropped, {input_shape(d)[1]}"
    if is_folder(d) and evaluation_resize(d) > MAX_RESIZE:
        key = "image_size" if d.resize is None else "resize"
        yield ("data", key), f"asks for images of {evaluation_resize(d)} pixels; {MAX_RESIZE} is the most"


def _normalize(d: Data) -> Problems:
    names = [step.name for step in d.normalize]
    for i, step in enumerate(d.normalize):
        path: KeyPath = ("data", "normalize", i)
        if step.whole and is_folder(d):
            yield path, f"{step.name} is for small images; {d.name} takes unit, signed or mean_std"
        if i and step.from_pixels:
            yield path, f"{step.name} begins from the pixels, so it must come first, not after {names[i - 1]}"
        yield from _magnitudes(step, path)
        if isinstance(step, MeanStd):
            yield from _statistics(step, path, input_shape(d)[0])
        elif isinstance(step, LCN):
            yield from _window(step, path)
        elif isinstance(step, ZCA) and not is_folder(d):
            yield from _matrix(path, math.prod(input_shape(d)))


def _magnitudes(step: Normalization, path: KeyPath) -> Problems:
    """Numbers that float32 turns into 0 or infinity."""
    for key, setting in step.model_dump().items():
        for value in setting if isinstance(setting, tuple) else (setting,):
            if isinstance(value, float) and value and not LEAST_REAL <= abs(value) <= MAX_REAL:
                yield (*path, key), f"must lie between {LEAST_REAL:g} and {MAX_REAL:g}, not {value:g}"


def _window(step: LCN, path: KeyPath) -> Problems:
    if step.kernel % 2 == 0:
        yield (*path, "kernel"), f"must be odd, so that the window has a middle, not {step.kernel}"
    if step.kernel > MAX_KERNEL:
        yield (*path, "kernel"), f"must be at most {MAX_KERNEL}, not {step.kernel}"


def _matrix(path: KeyPath, numbers: int) -> Problems:
    most = math.isqrt(MAX_WORK)
    if numbers > most:
        yield (
            path,
            f"zca whitens images of at most {most} numbers, and these have {numbers}; set a smaller"
            " data.image_size",
        )


def _statistics(step: MeanStd, path: KeyPath, channels: int) -> Problems:
    for key, values in (("mean", step.mean), ("std", step.std)):
        if values is not None and len(values) != channels:
            yield (*path, key), f"must have one number per channel, {channels}, not {len(values)}"


def _augment(d: Data) -> Problems:
    folder = is_folder(d)
    for i, step in enumerate(d.augment):
        path: KeyPath = ("data", "augment", i)
        if isinstance(step, PadCropFlip | Affine) and folder:
            yield path, f"{step.name} is for small images; {d.name} takes another crop"
        if isinstance(step, RandomResizedCrop | ResizeCrop) and not folder:
            yield (
                path,
                f"{step.name} is for image folders ({', '.join(_FOLDERS)}); {d.name} takes pad_crop_flip"
                " or affine",
            )
        if i and folder and isinstance(step, RandomResizedCrop | ResizeCrop):
            yield path, "a crop must come first, and one is enough"
        if isinstance(step, Varied):
            yield from _varied(d, step, path)
        if isinstance(step, PadCropFlip | Affine) and i and isinstance(d.augment[i - 1], Varied):
            yield path, f"{step.name} must come before {d.augment[i - 1].name}"
        if isinstance(step, ResizeCrop):
            yield from _sides(step, path, input_shape(d)[1])
        if isinstance(step, PadCropFlip):
            yield from _pad(step, path, min(input_shape(d)[1:]))


def _varied(d: Data, step: Varied, path: KeyPath) -> Problems:
    channels = input_shape(d)[0]
    if channels not in (1, 3):
        yield path, f"changes grey and coloured images; these have {channels} channels"
    if isinstance(step, RandomErasing) and step.min_area > step.max_area:
        yield (*path, "min_area"), f"must be at most max_area, {step.max_area:g}"


def _sides(step: ResizeCrop, path: KeyPath, crop: int) -> Problems:
    if step.min_side > step.max_side:
        yield (*path, "min_side"), f"must be at most max_side, {step.max_side}"
    if step.min_side < crop:
        yield (*path, "min_side"), f"must be at least the size that is cropped, {crop}"
    if step.max_side > MAX_RESIZE:
        yield (*path, "max_side"), f"must be at most {MAX_RESIZE}, not {step.max_side}"


def _pad(step: PadCropFlip, path: KeyPath, side: int) -> Problems:
    if step.pad > side:
        yield (*path, "pad"), f"must be at most the image's side, {side}, not {step.pad}"


def _own(d: Data) -> Problems:
    """Two ways of saying which images test or validate."""
    if d.test_split is not None and d.test_folder is not None:
        yield (
            ("data", "test_split"),
            f"test_folder ({d.test_folder}) gives the test images; remove one of them",
        )
    v = d.validation
    if v.share is not None and (v.size is not None or v.folder is not None):
        yield ("data", "validation", "share"), "says again what size or folder says; remove one of them"


def _folders(d: Data) -> Problems:
    folder, path = d.validation.folder, ("data", "validation", "folder")
    if folder is None:
        return
    if d.validation.size:
        yield (
            path,
            f"gives the validation images, so none are held out; remove it, or size ({d.validation.size})",
        )
    if folder in ("train", d.test_folder):
        yield path, f"{folder} holds the {'training' if folder == 'train' else 'test'} images; name another"


def _drawn(d: Data) -> Problems:
    """A split that a run has drawn, in a config that goes on to say otherwise."""
    v, path = d.validation, ("data", "validation", "drawn")
    wanted: tuple[int, str] = (validation_size(d), "random" if v.take == "auto" else v.take)
    if validation_share(d) is not None:
        wanted = (v.drawn.size if v.drawn else 0, "each" if v.take == "auto" else v.take)
    if v.drawn is not None and (v.drawn.size, v.drawn.take) != wanted:
        yield (
            path,
            f"is a split of {v.drawn.size} images ({v.drawn.take}), and data.validation asks for"
            f" {wanted[0]} ({wanted[1]}); remove it to draw anew",
        )
    if v.drawn is not None and v.by == "position":
        yield path, "is a split by name, and data.validation.by is position; remove one of them"


CHECKS: tuple[Callable[[Data], Problems], ...] = (
    _belongs,
    _sizes,
    _own,
    _folders,
    _drawn,
    _normalize,
    _augment,
)
