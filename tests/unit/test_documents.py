"""Documents beside the guides: others' names, the citation, the API reference, the Dockerfile."""

from __future__ import annotations

import re
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
import yaml

import bnn_train
from bnn_train.config.loader import from_mapping
from bnn_train.spec.methods import METHODS

ROOT = Path(__file__).resolve().parents[2]
NAMES = (ROOT / "configs/NAMES.md").read_text(encoding="utf-8")
REFERENCE = ROOT / "scripts/docs"
SECTIONS = {"weight", "activation", "latent", "scope", "padding", "optimizer"}


def fragments() -> list[dict[str, Any]]:
    """The pieces of configs in the last column."""
    rows = [row.rsplit("|", 2)[1] for row in NAMES.splitlines() if row.startswith("| ")]
    pieces = [yaml.safe_load(piece) for row in rows for piece in re.findall(r"`(\w+: [^`]+)`", row)]
    return [piece for piece in pieces if isinstance(piece, dict) and piece.keys() <= SECTIONS]


def test_names_of_other_libraries_are_in_our_words() -> None:
    found = fragments()
    assert len(found) >= 15
    for piece in found:
        optimizer = piece.pop("optimizer", {})
        config = {"model": "mlp", "data": "synthetic", "optimizer": {"name": "adam", **optimizer}}
        from_mapping({**config, "method": {"name": "bnn", **piece}})
    assert set(re.findall(r"the row `(\w+)`", NAMES)) <= METHODS.keys()


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == bnn_train.__version__
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()


def test_the_reference_names_what_there_is() -> None:
    nav = yaml.safe_load((REFERENCE / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    pages = {page for entry in nav for page in entry.values()}
    assert pages == {path.name for path in (REFERENCE / "pages").iterdir()}
    for page in pages:
        text = (REFERENCE / "pages" / page).read_text(encoding="utf-8")
        for name in re.findall(r"^::: (\S+)$", text, re.MULTILINE):
            assert resolve_name(name) is not None


@pytest.mark.slow
def test_the_reference_is_built(tmp_path: Path) -> None:
    build = pytest.importorskip("mkdocs.commands.build", reason="the reference needs the extra `docs`")
    config = pytest.importorskip("mkdocs.config").load_config(
        str(REFERENCE / "mkdocs.yml"), site_dir=str(tmp_path / "site")
    )
    build.build(config)
    page = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert all(name in page for name in ("binarize", "register_method", "Settings"))


def test_the_image_is_built_of_what_there_is() -> None:
    text = (ROOT / "scripts/Dockerfile").read_text(encoding="utf-8")
    copied = re.findall(r"^COPY (?!--from)(\S+)", text, re.MULTILINE)
    assert all((ROOT / name).exists() for name in copied)
