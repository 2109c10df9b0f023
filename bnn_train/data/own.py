"""Where the parts of the user's own images lie: folders of classes, or tables. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from bnn_train.data.folder import Listing, list_folder, subset
from bnn_train.data.layout import TEST_NAMES, entries_below
from bnn_train.data.names import draw_each, held_out
from bnn_train.data.table import ENDING, list_tables
from bnn_train.errors import DataError, printable
from bnn_train.spec.data import Data, TestSplit
from bnn_train.spec.datasets import DATASETS
from bnn_train.spec.found import Found

_VALIDATE = ("val", "valid", "validation")


class Parts(NamedTuple):
    """The listed parts, that for training first."""

    listings: dict[str, Listing]
    found: Found
    choices: tuple[str, ...]
    """Sentences on defaults that were taken."""


def own_parts(config: Data) -> Parts:
    """The images for training, for testing, and for validation where they lie apart. Raises DataError."""
    found = config.found or _find(config)
    places = _places(config, found)
    if DATASETS[config.name].table:
        listings = list_tables(config, places)
    else:
        listings = {part: list_folder(config, path, part) for part, path in places.items()}
    changed: tuple[str, ...] = ()
    if found.test is None:
        found, changed = _draw_test(config, listings, found)
    return Parts(listings, found, (*_choices(config, found, places), *changed))


def _draw_test(config: Data, listings: dict[str, Listing], found: Found) -> tuple[Found, tuple[str, ...]]:
    """Takes the test images out of those for training."""
    rule, whole = config.test_split or TestSplit(), listings["train"]
    drawn = found.drawn or draw_each(whole, rule.share, rule.seed, "test")
    train, test, changed = held_out(whole, drawn, "test")
    if not len(test):
        raise DataError(
            f"{printable(whole.root)}: no class has two images, so none can be kept for testing; give more"
        )
    listings["train"], listings["test"] = subset(whole, train, "train"), subset(whole, test, "test")
    return found.model_copy(update={"drawn": drawn}), (changed,) if changed else ()


def _find(config: Data) -> Found:
    root = Path(config.root).absolute()
    ending = _ending(config)
    if ending and root.is_file():
        return Found()
    if not root.is_dir():
        kind = "a file, not a folder" if root.exists() else "no such folder"
        raise DataError(f"{printable(root)}: {kind} (data.root); {DATASETS[config.name].how_to_get}")
    for key, name in (("test_folder", config.test_folder), ("validation.folder", config.validation.folder)):
        if name is not None and not _there(root, name, ending):
            raise DataError(f"{printable(root / (name + ending))}: no such part (data.{key})")
    if not _there(root, "train", ending):
        return _without_train(config, root, ending)
    test = config.test_folder
    if test is None and config.test_split is None:
        names = ("test", *TEST_NAMES)
        test = next((n for n in names if n != config.validation.folder and _there(root, n, ending)), None)
    validation = config.validation.folder
    if validation is None and config.validation.size is None and config.validation.share is None:
        validation = next((n for n in _VALIDATE if n != test and _there(root, n, ending)), None)
    return Found(test=test, validation=validation)


def _without_train(config: Data, root: Path, ending: str) -> Found:
    """A folder of classes; anything else is refused with what would be right."""
    beside = [name for name in TEST_NAMES if _there(root, name, ending)]
    if beside or ending:
        there = f"; {beside[0]}{ending} is there" if beside else ""
        raise DataError(
            f"{printable(root / ('train' + ending))}: no such {'file' if ending else 'folder'}{there};"
            f" {DATASETS[config.name].how_to_get}"
        )
    if not entries_below(root):
        raise DataError(f"{printable(root)}: no class folders; {DATASETS[config.name].how_to_get}")
    return Found()


def _places(config: Data, found: Found) -> dict[str, Path]:
    """Folders or tables by part."""
    root, ending = Path(config.root).absolute(), _ending(config)
    train = root / f"train{ending}"
    whole = root if (root.is_file() if ending else not train.is_dir()) else train
    apart = {"validation": found.validation, "test": found.test}
    return {"train": whole, **{part: root / (name + ending) for part, name in apart.items() if name}}


def _choices(config: Data, found: Found, places: Mapping[str, Path]) -> list[str]:
    train = places["train"].name + ("" if _ending(config) else "/")
    told = []
    if found.drawn is not None and config.test_split is None:
        told.append(
            f"{printable(train)}: no test images apart, so {found.drawn.size:,} of {found.drawn.images:,}"
            f" ({TestSplit().share:.0%} of each class) are the test set (data.test_split)"
        )
    if found.test not in (None, "test", config.test_folder):
        told.append(
            f"{places['test'].name} is the test set, as there is no test{_ending(config) or '/'}; part of"
            f" {train} validates (data.validation)"
        )
    return told


def _ending(config: Data) -> str:
    return ENDING if DATASETS[config.name].table else ""


def _there(root: Path, name: str, ending: str) -> bool:
    path = root / (name + ending)
    return path.is_file() if ending else path.is_dir()
