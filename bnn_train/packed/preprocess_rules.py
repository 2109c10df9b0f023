"""The input contract: the size of the images and the steps between pixels and a real-valued input."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from bnn_train.packed import contents
from bnn_train.packed.errors import PackedFileError
from bnn_train.packed.facts import Facts
from bnn_train.packed.program import Header, Images, Preprocess
from bnn_train.packed.tensor_rules import Need, demand
from bnn_train.spec.limits import LEAST_REAL, MAX_KERNEL, MAX_REAL, MAX_RESIZE, MAX_WORK


class Kind(NamedTuple):
    """The settings and statistics of a kind of step, each by name."""

    options: Mapping[str, type] = MappingProxyType({})
    tensors: tuple[str, ...] = ()


KINDS: dict[str, Kind] = {
    "scale01": Kind(),
    "signed": Kind(),
    "mean_std": Kind(tensors=("mean", "std")),
    "pixel_mean": Kind(tensors=("mean",)),
    "gcn": Kind({"scale": float, "norm": str, "bias": float}),
    "zca": Kind({"bias": float}, ("mean", "matrix")),
    "lcn": Kind({"kernel": int, "threshold": float}),
}


def check_images(header: Header, facts: Facts) -> set[str]:
    """The names of the tensors that preprocessing uses. Raises PackedFileError."""
    images, program = header.images, header.program
    if len(header.classes) != program.values[program.output].channels:
        count = program.values[program.output].channels
        raise PackedFileError(f"there are {len(header.classes)} class names for {count} outputs")
    used: set[str] = set()
    for i, step in enumerate(images.preprocess):
        used |= demand(_where(i, step), _needs(step, images), facts)
    return used


def check_size(header: Header) -> None:
    """Raises PackedFileError unless images and program begin alike."""
    images, source = header.images, header.program.values[0]
    if (source.height, source.width, source.channels) != (images.height, images.width, images.channels):
        raise PackedFileError("the input, value 0, has not the size of the images")
    if (source.type == "u8") != (not images.preprocess):
        raise PackedFileError("the input is u8 without preprocessing and f32 behind one; here it is not")
    if images.resize is not None and not 1 <= images.resize <= MAX_RESIZE:
        raise PackedFileError(f"images are resized to {images.resize}; 1 to {MAX_RESIZE} are allowed")


def check_work(images: Images) -> None:
    """Raises PackedFileError for settings that no step has, or that would cost too much."""
    total = 0
    for i, step in enumerate(images.preprocess):
        _check_options(_where(i, step), step)
        total += _work(step, images)
    if total > MAX_WORK:
        raise PackedFileError(
            f"preprocessing one image takes {total} products; at most {MAX_WORK} are allowed"
        )


def image_bytes(images: Images) -> int:
    """Bytes that one image takes before the program reads it: its pixels, what they are resized from, and the
    numbers of a preprocessing."""
    pixels = images.height * images.width * images.channels
    resized = 8 * images.resize**2 if images.resize is not None else 0
    return 2 * pixels + resized + max((_bytes(step, images) for step in images.preprocess), default=0)


def _work(step: Preprocess, images: Images) -> int:
    pixels = images.height * images.width * images.channels
    if step.kind == "lcn":
        return 2 * pixels * _kernel(step) ** 2
    return pixels**2 if step.kind == "zca" else 8 * pixels


def _bytes(step: Preprocess, images: Images) -> int:
    """float32 before and after, and what a step makes in between; the sums of GCN are float64."""
    pixels = images.height * images.width * images.channels
    if step.kind != "lcn":
        return 40 * pixels
    border = _kernel(step) - 1
    padded = (images.height + border) * (images.width + border) * images.channels
    return 40 * pixels + 4 * padded


def _kernel(step: Preprocess) -> int:
    return int(step.options["kernel"])


def _where(i: int, step: Preprocess) -> str:
    return f"preprocessing {i} ({step.kind})"


def _check_options(where: str, step: Preprocess) -> None:
    kind = KINDS[step.kind]
    if set(step.tensors) != set(kind.tensors):
        raise PackedFileError(f"{where}: its tensors must be {', '.join(kind.tensors) or 'none'}")
    missing = sorted(set(kind.options) - set(step.options)) if step.kind != "zca" else []
    if missing:
        raise PackedFileError(f"{where}: its option {missing[0]} is missing")
    for name, value in step.options.items():
        if name not in kind.options:
            raise PackedFileError(f"{where}: there is no option {ascii(name)[:40]}")
        wrong = _wrong(name, value, kind.options[name])
        if wrong:
            raise PackedFileError(f"{where}: {name} is {ascii(value)[:40]}; {wrong}")


def _wrong(name: str, value: Any, kind: type) -> str | None:
    if kind is str:
        return None if value in ("l2", "std") else "it must be l2 or std"
    if kind is int:
        good = type(value) is int and 3 <= value <= MAX_KERNEL and value % 2 == 1
        return None if good else f"it must be odd, 3 to {MAX_KERNEL}"
    least = 0.0 if name == "bias" else LEAST_REAL
    good = isinstance(value, float | int) and least <= value <= MAX_REAL and math.isfinite(value)
    return None if good else f"it must be a number from {least:g} to {MAX_REAL:g}"


def _needs(step: Preprocess, images: Images) -> Iterator[Need]:
    channels, pixels = images.channels, images.channels * images.height * images.width
    shapes: dict[tuple[str, str], tuple[int, ...]] = {
        ("mean_std", "mean"): (channels,),
        ("mean_std", "std"): (channels,),
        ("pixel_mean", "mean"): (channels, images.height, images.width),
        ("zca", "mean"): (pixels,),
        ("zca", "matrix"): (pixels, pixels),
    }
    for name, tensor in sorted(step.tensors.items()):
        check = contents.positive if name == "std" else contents.reals
        yield Need(tensor, "float32", shapes[step.kind, name], check)
