"""Formats of export: what chooses one, what their options may be, and what a folder must be to be filled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field

from bnn_train.cli import formats
from bnn_train.errors import BnnError, ExportError
from bnn_train.export.targets import folders, needs, options
from bnn_train.export.targets.table import DEFAULT, TARGETS
from bnn_train.export.targets.target import Target
from bnn_train.spec.record import Record


class Settings(Record):
    """Options of a made-up format."""

    form: Literal["small", "large"] = "small"
    count: int = Field(default=3, ge=1)
    quick: bool = False


MADE_UP = Target(name="made_up", summary="", write=lambda *_: (), endings=(".up",), options=Settings)
FOLDER = Target(name="folder", summary="", write=lambda *_: (), is_folder=True)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two formats more."""
    for target in (MADE_UP, FOLDER):
        monkeypatch.setitem(TARGETS, target.name, target)


@pytest.mark.usefixtures("table")
def test_the_ending_chooses() -> None:
    assert formats.choose(Path("a.UP"), None) is MADE_UP
    assert formats.choose(Path("a.b.up"), "made_up") is MADE_UP
    assert formats.choose(Path("a"), None) is DEFAULT
    assert formats.choose(Path("a"), "folder") is FOLDER
    assert "--with form=small|large" in formats.epilog()


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("path", "name", "said"),
    [
        ("a.bnn", "made_up", "a.bnn: .bnn is packed, and --format says made_up; name it like a.up, or give"),
        ("a.up", "packed", "a.up: .up is made_up, and --format says packed; name it like a.bnn, or give"),
        ("a.bin", "made_up", "a.bin: a file of made_up is named like a.up"),
        ("a.up", "folder", "a.up: .up is made_up, and --format says folder; name it like a, or give"),
    ],
)
def test_a_wrong_pair(path: str, name: str, said: str) -> None:
    with pytest.raises(BnnError) as told:
        formats.choose(Path(path), name)
    assert str(told.value).startswith(said)


@pytest.mark.usefixtures("table")
def test_a_folder_without_a_format(tmp_path: Path) -> None:
    with pytest.raises(
        BnnError, match=r"it is a folder; name a file in it, or give .*--format folder to fill"
    ):
        formats.choose(tmp_path, None)
    folders.fill(tmp_path, "folder", {"a.txt": "a"})
    assert formats.choose(tmp_path, None) is FOLDER


def test_options_are_read_by_their_type() -> None:
    assert options.parsed(MADE_UP, ["form=large", "count=7", "quick=true"]) == Settings(
        form="large", count=7, quick=True
    )
    assert options.parsed(MADE_UP, []) == Settings()


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("form", r"write KEY=VALUE; its options are form, count, quick"),
        ("from=large", r"made_up has no option from; its options are form"),
        ("form=huge", r"--with form=huge: Input should be 'small' or 'large'"),
        ("count=0", r"--with count=0: Input should be greater than or equal to 1"),
    ],
)
def test_options_that_are_wrong(pair: str, said: str) -> None:
    with pytest.raises(ExportError, match=said):
        options.parsed(MADE_UP, [pair])
    with pytest.raises(ExportError, match="packed has no options"):
        options.parsed(DEFAULT, ["a=1"])
    with pytest.raises(ExportError, match="is given twice"):
        options.parsed(MADE_UP, ["count=1", "count=2"])


def test_what_is_not_installed_is_told() -> None:
    needs.demand("x", ("numpy",), "x")
    with pytest.raises(ExportError, match=r"^x needs no-such-thing, not .*: pip install 'bnn-train\[x\]'$"):
        needs.demand("x", ("numpy", "no-such-thing"), "x")
    assert needs.named("numpy").startswith("numpy ")


def test_a_folder_is_filled_again(tmp_path: Path) -> None:
    place = tmp_path / "new"
    folders.check(place, "c")
    folders.fill(place, "c", {"a.txt": "a", "sub/b.bin": b"b"})
    (place / "mine.o").write_text("built")
    folders.check(place, "c")
    folders.fill(place, "c", {"a.txt": "changed"})
    assert sorted(p.name for p in place.rglob("*") if p.is_file()) == ["a.txt", "export.json", "mine.o"]
    assert (place / "a.txt").read_text() == "changed"
    assert list(json.loads((place / "export.json").read_text())["files"]) == ["a.txt"]


def test_what_no_export_wrote_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear")
    with pytest.raises(ExportError, match="holds files that no export wrote; name a new or an empty folder"):
        folders.fill(tmp_path, "c", {"a": "a"})
    place = tmp_path / "place"
    folders.fill(place, "c", {"a": "a"})
    with pytest.raises(ExportError, match="holds an export as c; name a new"):
        folders.fill(place, "web", {"a": "a"})
    (place / "b").write_text("mine")
    with pytest.raises(ExportError, match="b: is in the way"):
        folders.fill(place, "c", {"a": "a", "b": "b"})
    (place / "a").write_text("edited")
    with pytest.raises(ExportError, match="a: was changed since it was exported"):
        folders.fill(place, "c", {"a": "a"})
    assert (place / "a").read_text() == "edited"
    with pytest.raises(ExportError, match="and this is a file"):
        folders.check(tmp_path / "letter", "c")
    with pytest.raises(ExportError, match=r"the folder .*/no does not exist"):
        folders.check(tmp_path / "no/place", "c")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "c", "files": {"../a": "x"}}', '{"format": 1, "files": {}}']
)
def test_a_foreign_list_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / folders.MANIFEST).write_text(text)
    assert folders.manifest(tmp_path) is None
