"""The folders of training and test images under ``data.root``, and hints where they are missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bnn_train.data.walk import entries, is_image
from bnn_train.errors import DataError, printable
from bnn_train.spec.data import Data
from bnn_train.spec.datasets import DATASETS

TEST_NAMES = ("val", "valid", "validation", "test")
"""ImageNet's first: its `val` is what its results are measured on."""
PART_NAMES = {"train": ("train",), "test": TEST_NAMES}
SPLIT_NAMES = {"train", *TEST_NAMES}
_NEARLY = {
    "train": {"train", "training", "trainset", "train_images"},
    "test": {*TEST_NAMES, "testing", "eval", "testset", "test_images"},
}
_LOOKED_AT = 20


def part_folder(config: Data, part: str) -> Path:
    """The folder of ``train``, ``test`` or, where the config names one, ``validation``. Raises DataError
    with what would be right."""
    root = Path(config.root).absolute()
    if not root.is_dir():
        kind = "a file, not a folder" if root.exists() else "no such folder"
        raise DataError(f"{printable(root)}: {kind} (data.root); {DATASETS['imagenet'].how_to_get}")
    names = _names(config, part)
    found = [name for name in names if (root / name).is_dir()]
    if not found:
        raise DataError(_hint(root, part, names))
    if len(found) > 1 and found[0] != TEST_NAMES[0]:
        raise DataError(
            f"{printable(root)} holds {', '.join(f'{name}/' for name in found)}; say which of them is the"
            " test set: data.test_folder"
        )
    return root / found[0]


def entries_below(root: Path) -> list[str]:
    """The folders in a folder."""
    return [name for name, kind in entries(root) if kind in ("folder", "linked folder")]


def unused(config: Data, chosen: Path) -> list[str]:
    """Folders beside the test set that could be meant for it."""
    if config.test_folder is not None:
        return []
    root = chosen.parent
    used = {chosen.name, config.validation.folder}
    return [name for name in TEST_NAMES if name not in used and (root / name).is_dir()]


def _names(config: Data, part: str) -> tuple[str, ...]:
    chosen = {"test": config.test_folder, "validation": config.validation.folder}.get(part)
    if chosen is not None:
        return (chosen,)
    return tuple(name for name in PART_NAMES[part] if name != config.validation.folder)


def _hint(root: Path, part: str, names: tuple[str, ...]) -> str:
    wanted = printable(root / (names[0] if TEST_NAMES[0] in names else names[-1]))
    hint = next(_hints(root, part, names), None)
    return hint or f"{wanted}: no such folder; {DATASETS['imagenet'].how_to_get}"


def _hints(root: Path, part: str, names: tuple[str, ...]) -> Iterator[str]:
    """Sentences on the folder that was likely meant, the likeliest first."""
    name = printable(root)
    for levels, upper in (("one level", root.parent), ("two levels", root.parent.parent)):
        inside = root.relative_to(upper).parts[0] if root != upper else ""
        if inside in SPLIT_NAMES | set(names) and _holds(upper, names):
            yield f"{name}: data.root is {levels} too low; set it to {printable(upper)}"
    folders = [entry for entry, kind in entries(root) if kind in ("folder", "linked folder")]
    below = [inner for inner in folders if _holds(root / inner, names)]
    if below:
        others = f" (or {', '.join(map(printable, below[1:4]))} beside it)" if below[1:] else ""
        yield f"{name}: data.root is one level too high; set it to {printable(root / below[0])}{others}"
    for inner in folders:
        own = names[0] in SPLIT_NAMES and inner not in SPLIT_NAMES
        if own and inner.casefold() in _NEARLY.get(part, ()):
            yield f"{printable(root / inner)} is not looked at; name it {names[0]}/"
    classes = [inner for inner in folders[:_LOOKED_AT] if inner not in SPLIT_NAMES and _images(root / inner)]
    if part == "train" and classes:
        yield (
            f"{name} holds the class folders themselves ({', '.join(map(printable, classes[:3]))}); move them"
            f" into {name}/train/, and other images of the same classes into {name}/val/"
        )


def _holds(folder: Path, names: tuple[str, ...]) -> bool:
    return any((folder / name).is_dir() for name in names)


def _images(folder: Path) -> bool:
    try:
        return any(kind == "file" and is_image(name) for name, kind in entries(folder))
    except DataError:
        return False
