"""The pages: what the first one may weigh, links that lead somewhere, examples that load; and that methods,
networks and data sets are all told."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import family_tree
import method_tables
from bnn_train.config.loader import load
from bnn_train.spec.datasets import DATASETS
from bnn_train.spec.methods import METHODS
from bnn_train.spec.networks import NETWORKS

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (".github", "bnn_train", "configs", "scripts", "tests")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_door_is_light() -> None:
    assert (ROOT / "README.md").stat().st_size <= 9000
    assert (ROOT / "configs/quickstart.png").stat().st_size <= 60_000


DOORS = ("README.md", "configs/README.md")
EXAMPLES = (*DOORS, "configs/OWN_IMAGES.md")
TABLES = ("README.md", "configs/METHODS.md")


@pytest.mark.parametrize(
    ("page", "names"),
    [(TABLES[0], METHODS), (TABLES[1], METHODS), (DOORS[0], NETWORKS), (DOORS[1], {**NETWORKS, **DATASETS})],
)
def test_every_method_network_and_data_set_is_told(page: str, names: dict[str, Any]) -> None:
    told = set(re.findall(r"`(\w+)`", (ROOT / page).read_text(encoding="utf-8")))
    assert set(names) - told == set()


COUNTED, WAY_OUT = "## Lines of code", "run python scripts/method_tables.py"


def test_tables_of_methods_are_in_step_with_the_rows() -> None:
    for path, text in method_tables.written().items():
        stored = path.read_text(encoding="utf-8")
        assert stored.partition(COUNTED)[0] == text.partition(COUNTED)[0], (
            "run python scripts/method_tables.py"
        )


def test_counted_lines_are_nearly_those_of_today() -> None:
    """Every edit of a quantizer moves a count by a line or two: the page need not follow each."""
    pages = (ROOT / "configs/METHODS.md").read_text(encoding="utf-8"), method_tables.page()
    stored, today = (
        {
            name: [int(count) for count in counts[:4]]
            for name, *counts in (line.split(" | ") for line in page.partition(COUNTED)[2].splitlines())
            if name.startswith("| `")
        }
        for page in pages
    )
    assert len(today) > 50
    assert stored.keys() == today.keys()
    for name, counts in today.items():
        assert stored[name] == pytest.approx(counts, abs=5, rel=0.1), WAY_OUT


def test_the_family_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pictures need the extra `plots`")
    assert family_tree.main(["--out", str(tmp_path / "family.svg")]) == 0
    drawn = (tmp_path / "family.svg").read_text(encoding="utf-8")
    assert all(f">{name}<" in drawn for name in METHODS)


@pytest.mark.parametrize("page", EXAMPLES)
def test_every_config_on_a_page_loads(page: str, tmp_path: Path) -> None:
    """As a file beside the shipped ones."""
    configs = shutil.copytree(ROOT / "configs", tmp_path / "configs")
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        (configs / "block.yaml").write_text(block, encoding="utf-8")
        load(configs / "block.yaml")
