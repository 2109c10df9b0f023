"""The validation split of a folder, drawn by name: what comes or goes moves nothing else."""

from __future__ import annotations

import hashlib
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnn_train.config.schema import Data, Drawn
from bnn_train.data.folder import Listing
from bnn_train.data.names import draw, held_out
from bnn_train.errors import DataError

SIZES = {"bird": 40, "cat": 25, "dog": 55}
TAKES = ["random", "balanced", "last"]


def names(sizes: dict[str, int] | None = None) -> list[str]:
    return [f"{name}/{i:03}.jpg" for name, size in (sizes or SIZES).items() for i in range(size)]


def listing(paths: list[str]) -> Listing:
    classes = tuple(sorted({path.partition("/")[0] for path in paths}))
    labels = np.array([classes.index(path.partition("/")[0]) for path in paths], dtype=np.int64)
    raw = np.array([path.encode() for path in paths])
    return Listing(Path("/photos/train"), classes, raw, labels, "0" * 64)


def config(size: int, take: str) -> Data:
    return Data.model_validate({"name": "imagenet", "validation": {"size": size, "take": take}})


def sides(paths: list[str], drawn: Drawn) -> dict[str, bool]:
    """Name → whether it is held out."""
    train, held, _ = held_out(listing(paths), drawn)
    assert sorted([*train, *held]) == list(range(len(paths)))
    return {paths[i]: False for i in train} | {paths[i]: True for i in held}


def drawn(paths: list[str], size: int, take: str, seed: int = 1) -> Drawn:
    return draw(config(size, take), listing(paths), seed)


@pytest.mark.parametrize("take", TAKES)
@pytest.mark.parametrize("size", [0, 1, 2, 15, 60, 75])
def test_as_many_as_asked_for(size: int, take: str) -> None:
    held = [name for name, side in sides(names(), drawn(names(), size, take)).items() if side]
    assert len(held) == size
    if take == "balanced":
        counts = [sum(name.startswith(c) for name in held) for c in SIZES]
        assert max(counts) - min(counts) <= 1
    if take == "last":
        assert held == names()[120 - size :]


def test_random_takes_the_smallest_keys() -> None:
    def key(name: str) -> bytes:
        return hashlib.sha256(f"validation\0{7}\0{name}".encode()).digest()

    held = {name for name, side in sides(names(), drawn(names(), 15, "random", seed=7)).items() if side}
    assert held == set(sorted(names(), key=key)[:15])


@pytest.mark.parametrize("take", TAKES)
@pytest.mark.parametrize("size", [0, 1, 15, 60])
def test_an_image_that_goes_or_comes_moves_no_other(size: int, take: str) -> None:
    rule = drawn(names(), size, take)
    before = sides(names(), rule)
    for gone in range(0, 120, 7):
        left = [name for i, name in enumerate(names()) if i != gone]
        if size == 1 and before[names()[gone]]:
            continue  # nothing would be left to choose by, which is refused
        after = sides([*left, "dog/new.jpg", "bird/0.jpg"], rule)
        assert {name: after[name] for name in left} == {name: before[name] for name in left}
        assert sides(names(), rule) == before  # back again, as it was


@pytest.mark.parametrize("take", TAKES)
def test_half_of_the_folder_goes(take: str) -> None:
    rule = drawn(names(), 60, take)
    before, left = sides(names(), rule), names()[1::2]
    assert sides(left, rule) == {name: before[name] for name in left}


@pytest.mark.parametrize("take", TAKES)
def test_every_image_of_a_class_may_be_held_out(take: str) -> None:
    paths = names({"a": 3, "b": 5})
    held = [name for name, side in sides(paths, drawn(paths, 6, take)).items() if side]
    assert len(held) == 6
    if take == "balanced":
        assert sum(name.startswith("a/") for name in held) == 3


def test_the_seed_decides() -> None:
    splits = [sides(names(), drawn(names(), 30, "random", seed)) for seed in (1, 1, 2)]
    assert splits[0] == splits[1] != splits[2]


@pytest.mark.parametrize("take", TAKES)
def test_a_folder_copied_to_another_system_is_the_same(take: str) -> None:
    paths = [f"größe/{word}{i}.jpg" for i in range(30) for word in ("ähre", "übung")]
    other = [unicodedata.normalize("NFD", path) for path in paths]
    rule = drawn(paths, 20, take)
    assert list(sides(paths, rule).values()) == list(sides(other, rule).values())
    assert held_out(listing(other), rule)[2] is None


def test_names_of_any_bytes() -> None:
    one = listing(names({"a": 30, "b": 30}))
    one.paths[3] = b"a/\xff\xfe.jpg"
    train, held, changed = held_out(one, draw(config(10, "random"), one, 1))
    assert (len(train), len(held), changed) == (50, 10, None)


def test_what_has_changed_is_told() -> None:
    rule = drawn(names(), 15, "random")
    held = next(name for name, side in sides(names(), rule).items() if side)
    assert held_out(listing(names()), rule)[2] is None
    changed = held_out(listing([name for name in names() if name != held]), rule)[2]
    assert changed == (
        "train/ holds other images than when the run began: 119 (120 then), 14 of them for validation (15"
        " then); by its name, each is on the side where it was"
    )
    renamed = held_out(listing([*names()[1:], "dog/other.jpg"]), rule)[2]
    assert renamed is not None
    assert "120 (120 then)" in renamed


def test_nothing_left_on_a_side() -> None:
    rule = drawn(names(), 15, "random")
    before = sides(names(), rule)
    for side, word in ((False, "validation"), (True, "training")):
        left = [name for name in names() if before[name] == side]
        with pytest.raises(DataError, match=f"holds none of the {word} images"):
            held_out(listing(left), rule)


def test_another_number_of_classes() -> None:
    rule = drawn(names(), 15, "balanced")
    with pytest.raises(DataError, match="a folder of 3 classes, and /photos/train has 2"):
        held_out(listing(names({"a": 9, "b": 9})), rule)


@pytest.mark.parametrize(
    ("size", "take"), [(120, "random"), (120, "last"), (121, "balanced"), (10_000, "last")]
)
def test_nothing_left_to_train(size: int, take: str) -> None:
    with pytest.raises(DataError, match=rf"validation\.size: {size} images to hold out of 120"):
        drawn(names(), size, take)


def test_too_few_of_a_class() -> None:
    with pytest.raises(DataError, match="smallest has 25 images"):
        drawn(names(), 90, "balanced")


def test_a_rule_is_short_and_survives_yaml() -> None:
    rule = drawn(names(), 15, "random")
    assert len(rule.cut) <= 4
    again: Any = Drawn.model_validate(rule.model_dump(mode="json"))
    assert again == rule
