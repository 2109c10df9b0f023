"""How many images there are, whether every class has its share, and whether a batch holds anything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from torch import Tensor

from bnn_train.check.line import Line, Verdict, judge, some, worst
from bnn_train.check.subject import Subject
from bnn_train.data.files import FILES
from bnn_train.spec.datasets import DATASETS

_WORDNET = re.compile(r"n\d{8}")
UNEVEN = 5.0
"""Largest over smallest class. MNIST 1.24, SVHN's train 2.98, ImageNet 1.78."""


def labels(s: Subject) -> Iterator[Line]:
    """Counts against the published ones, classes, and the first batch."""
    yield _counts(s)
    yield _classes(s)
    yield _first_batch(s)


def is_own(s: Subject) -> bool:
    """Whether the images are a folder of the user's own: its classes are not ImageNet's."""
    row = DATASETS[s.data.config.name]
    published = all(_WORDNET.fullmatch(name) for name in s.data.classes)
    return row.own or (row.layout == "folder" and not published)


def _own_counts(s: Subject) -> Line:
    sizes = s.data.sizes
    counts = ", ".join(f"{name} {count:,}" for name, count in sizes.items())
    return Line(
        name="data files",
        verdict="look" if s.data.notes else "ok",
        measured="; ".join([counts, *s.data.notes]),
        healthy="a folder of your own; every image in it used",
        advice="Look at what is left out: rename or convert those files, or move them away.",
    )


def _counts(s: Subject) -> Line:
    if is_own(s):
        return _own_counts(s)
    row, config, sizes = DATASETS[s.data.config.name], s.data.config, s.data.sizes
    known = row.train + (row.extra if config.extra else 0)
    found = sizes["train"] + sizes["validation"]
    whole = (found, sizes["test"]) == (known, row.test)
    parts = ", ".join(f"{name} {count:,}" for name, count in sizes.items())
    listed = (
        f"{Path(name).name} {digest.rpartition(':')[2][:8]}…" for name, digest in s.data.digests.items()
    )
    published = "; MD5 of every file as published" if config.name in FILES else ""
    return Line(
        name="data files",
        verdict="ok" if whole else "look",
        measured=f"{parts}; digests {some(listed, 2)}",
        healthy=f"train with validation {known:,}, test {row.test:,}{published}",
        source="bnn_train/spec/datasets.py, files.py",
        advice="This is part of the data set (data.train_limit, data.test_limit, or a folder of your own):"
        " a result on it is not comparable with published ones.",
    )


def _classes(s: Subject) -> Line:
    count = len(s.data.classes)
    numbers = s.data.splits["train"].labels
    outside = int(((numbers < 0) | (numbers >= count)).sum())
    per_class = np.bincount(numbers[(numbers >= 0) & (numbers < count)], minlength=count)
    missing = [s.data.classes[i] for i in np.flatnonzero(per_class == 0)]
    ratio = float(per_class.max() / max(1, per_class.min()))
    verdict: Verdict = "look" if missing and len(numbers) < 50 * count else "wrong" if missing else "ok"
    verdict = worst(["wrong" if outside else verdict, judge(ratio, ok=(1, UNEVEN), look=(1, np.inf))])
    absent = f", none of {some(missing)}" if missing else ""
    return Line(
        name="data labels",
        verdict=verdict,
        measured=f"{count} classes of {per_class.min():,} to {per_class.max():,} images, {outside} labels"
        f" outside [0, {count - 1}]{absent}",
        healthy=f"every class there, at most {UNEVEN:g} times unequal, none outside",
        advice="Every class needs training images in like numbers: check the folders, the label files and"
        " data.train_limit.",
    )


def _first_batch(s: Subject) -> Line:
    images, numbers = s.batch(s.batch_size)
    flat = images.flatten(1)
    constant = int((flat.amin(dim=1) == flat.amax(dim=1)).sum())
    same = len(images) > 1 and bool((flat == flat[0]).all())
    kinds = int((numbers.bincount() > 0).sum())
    return Line(
        name="data first batch",
        verdict=_of_batch(constant, same, kinds, flat),
        measured=f"{len(images)} images of {kinds} classes, {constant} constant images, {flat.min():.3g} to"
        f" {flat.max():.3g}" + (", all the same" if same else ""),
        healthy="images differ and none is constant, several classes",
        advice="The network is given nothing to tell apart: look at the images on disk and at data.normalize;"
        " batches of one class mean that the order is not shuffled.",
    )


def _of_batch(constant: int, same: bool, kinds: int, flat: Tensor) -> Verdict:
    if same or constant == len(flat) or not bool(flat.isfinite().all()):
        return "wrong"
    return "look" if constant > 0.01 * len(flat) or (kinds == 1 and len(flat) > 1) else "ok"
