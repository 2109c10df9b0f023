"""Data sections that cannot work: with their data set, within themselves, or with the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bnn_train.config.schema import Data, Experiment, MeanStd, ResizeCrop
from bnn_train.config.yaml_reader import KeyPath
from bnn_train.spec.datasets import DATASETS
from bnn_train.spec.networks import AlexNet, ResNet18

Problems = Iterator[tuple[KeyPath, str]]

# The smallest image whose maps do not vanish before the last layer.
LEAST_PIXELS = {
    "mlp": 1,
    "lenet5": 16,
    "convnet": 8,
    "vgg_small": 8,
    "nin": 8,
    "alexnet": 15,
    "extraction": 16,
    "resnet18": 8,
    "resnet34": 8,
    "resnet20": 8,
}
LEAST_IMAGENET_STEM = 32
_BEGINNINGS = ("unit", "signed", "mean_std", "pixel_mean", "gcn")
_FITTED = ("pixel_mean", "gcn", "zca", "lcn")


def validation_size(data: Data) -> int:
    """How many images are held out of the training file."""
    size = data.validation.size
    return DATASETS[data.name].validation if size is None else size


def input_shape(data: Data) -> tuple[int, int, int]:
    """C×H×W of the model's input."""
    channels, height, width = data.shape or DATASETS[data.name].shape
    return (channels, data.image_size, data.image_size) if data.image_size else (channels, height, width)


def network_fits(e: Experiment) -> Problems:
    """Whether the images are large enough, and square where they must be."""
    _, height, width = input_shape(e.data)
    least = LEAST_PIXELS[e.model.name]
    if isinstance(e.model, ResNet18) and e.model.stem == "imagenet":
        least = LEAST_IMAGENET_STEM
    path: KeyPath = ("data", "image_size") if e.data.image_size else ("model",)
    if min(height, width) < least:
        yield (
            path,
            f"{e.model.name} needs images of {least}×{least} pixels or more, and {e.data.name} gives"
            f" {height}×{width}; set data.image_size or choose another network",
        )
    if isinstance(e.model, AlexNet) and height != width:
        yield path, f"alexnet needs square images, not {height}×{width}; set data.image_size"


def _belongs(d: Data) -> Problems:
    """Keys that only some data sets have."""
    owners: dict[str, tuple[bool, tuple[str, ...]]] = {
        "extra": (d.extra, ("svhn",)),
        "shape": (d.shape is not None, ("synthetic",)),
        "num_classes": (d.num_classes is not None, ("synthetic", "imagenet")),
        "resize": (d.resize is not None, ("imagenet",)),
        "test_folder": (d.test_folder is not None, ("imagenet",)),
        "exif": (d.exif != "ignore", ("imagenet",)),
        "validation.by": (d.validation.by != "name", ("imagenet",)),
        "validation.drawn": (d.validation.drawn is not None, ("imagenet",)),
        "validation.folder": (d.validation.folder is not None, ("imagenet",)),
        "on_error": (d.on_error != "fail", ("imagenet",)),
    }
    for key, (is_set, names) in owners.items():
        if is_set and d.name not in names:
            yield ("data", *key.split(".")), f"belongs to {' and '.join(names)}, not to {d.name}; remove it"
    if d.download and DATASETS[d.name].layout == "folder":
        yield ("data", "download"), f"{d.name} cannot be downloaded; {DATASETS[d.name].how_to_get}"


def _sizes(d: Data) -> Problems:
    row = DATASETS[d.name]
    available = row.train + (row.extra if d.extra else 0)
    held_out = validation_size(d)
    if held_out >= available:
        yield ("data", "validation", "size"), f"must leave images to train on; {d.name} has {available}"
        return
    left = min(available - held_out, d.train_limit or available)
    if row.layout == "tensor" and d.drop_last and d.batch_size > left:
        key = "train_limit" if d.train_limit and d.train_limit < d.batch_size else "batch_size"
        yield ("data", key), f"no whole batch of {d.batch_size} fits into the {left} training images"
    if d.resize is not None and d.resize < input_shape(d)[1]:
        yield ("data", "resize"), f"must be at least the size that is cropped, {input_shape(d)[1]}"


def _normalize(d: Data) -> Problems:
    names = [step.name for step in d.normalize]
    for i, step in enumerate(d.normalize):
        path: KeyPath = ("data", "normalize", i)
        if step.name in _FITTED and DATASETS[d.name].layout == "folder":
            yield path, f"{step.name} is for small images; {d.name} takes unit, signed or mean_std"
        if i and step.name in _BEGINNINGS:
            yield path, f"{step.name} begins from the pixels, so it must come first, not after {names[i - 1]}"
        if isinstance(step, MeanStd):
            yield from _statistics(step, path, input_shape(d)[0])


def _statistics(step: MeanStd, path: KeyPath, channels: int) -> Problems:
    for key, values in (("mean", step.mean), ("std", step.std)):
        if values is not None and len(values) != channels:
            yield (*path, key), f"must have one number per channel, {channels}, not {len(values)}"


def _augment(d: Data) -> Problems:
    folder = DATASETS[d.name].layout == "folder"
    for i, step in enumerate(d.augment):
        path: KeyPath = ("data", "augment", i)
        if step.name == "pad_crop_flip" and folder:
            yield (
                path,
                f"pad_crop_flip is for small images; {d.name} takes another crop",
            )
        if step.name != "pad_crop_flip" and not folder:
            yield path, f"{step.name} is for image folders (imagenet); {d.name} takes pad_crop_flip"
        if i and folder:
            yield path, "a second crop; one is enough"
        if isinstance(step, ResizeCrop):
            yield from _sides(step, path, input_shape(d)[1])


def _sides(step: ResizeCrop, path: KeyPath, crop: int) -> Problems:
    if step.min_side > step.max_side:
        yield (*path, "min_side"), f"must be at most max_side, {step.max_side}"
    if step.min_side < crop:
        yield (*path, "min_side"), f"must be at least the size that is cropped, {crop}"


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


def validates(data: Data) -> bool:
    """Whether there are images that choose the checkpoint."""
    return bool(validation_size(data)) or data.validation.folder is not None


def _drawn(d: Data) -> Problems:
    """A split that a run has drawn, in a config that goes on to say otherwise."""
    v, path = d.validation, ("data", "validation", "drawn")
    wanted = (validation_size(d), "random" if v.take == "auto" else v.take)
    if v.drawn is not None and (v.drawn.size, v.drawn.take) != wanted:
        yield (
            path,
            f"is a split of {v.drawn.size} images ({v.drawn.take}), and data.validation asks for"
            f" {wanted[0]} ({wanted[1]}); remove it to draw anew",
        )
    if v.drawn is not None and v.by == "position":
        yield path, "is a split by name, and data.validation.by is position; remove one of them"


CHECKS: tuple[Callable[[Data], Problems], ...] = (_belongs, _sizes, _folders, _drawn, _normalize, _augment)
