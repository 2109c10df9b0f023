"""The model card: a front matter as hubs read it, a config that loads, and no README of others lost; and the
zoo's networks against their cards."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from bnn_train.cli import cards
from bnn_train.cli.eval import main as evaluate
from bnn_train.cli.export import main as export
from bnn_train.config.loader import from_mapping
from bnn_train.data.open import open_data
from bnn_train.data.pixels import pixel_batches
from bnn_train.errors import ExportError
from bnn_train.export.card import MARK, Subject, card
from bnn_train.export.licences import LICENCES, licence_of
from bnn_train.export.targets.table import DEFAULT
from bnn_train.export.targets.target import Target
from bnn_train.packed import container, load
from bnn_train.spec.datasets import DATASETS
from packed_programs import header_of, single_conv

ZOO = Path(__file__).resolve().parents[2] / "configs/zoo"
NETWORKS = sorted(path.parent for path in ZOO.glob("*/model.bnn"))
REPORT = {
    "top1": 75.0,
    "top1_interval": [20.0, 99.0],
    "top5": 100.0,
    "correct": 3,
    "top5_correct": 4,
    "total": 4,
    "selection_rule": "the last epoch",
    "versions": {"torch": "2"},
    "wall_time_s": 90.0,
    "epochs": 2,
    "bytes_real": 1000,
}


def front(text: str) -> dict[str, Any]:
    """The front matter of a card."""
    found: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    return found


def subject(**changes: Any) -> Subject:
    made = single_conv(results="f32")
    header = header_of(made).model_copy(update={"experiment": {"data": {"name": "mnist"}, "reference": {}}})
    known: dict[str, Any] = {"name": "a.bnn", "content": b"x" * 100, "header": header}
    known |= {"tensors": made.tensors, "digest": "d", "format": "packed", "licence": "mit", "report": REPORT}
    return Subject(**{**known, **changes})


def test_a_card_is_what_a_hub_reads() -> None:
    text = card(subject())
    told = front(text)
    assert text.startswith("---\n")
    assert (told["library_name"], told["license"], told["datasets"]) == ("bnn_train", "mit", ["ylecun/mnist"])
    result = told["model-index"][0]["results"][0]
    assert result["task"] == {"type": "image-classification"}
    assert result["dataset"]["type"] == "ylecun/mnist"
    assert result["metrics"][0] == {"type": "accuracy", "name": "Top-1", "value": 0.75}
    assert "100 bytes, 10.0 times smaller than in 32 bits" in text
    assert "2 epochs took 1.5 minutes (torch 2)" in text
    assert "CC BY-SA 3.0" in text
    assert "reference" not in text.split("```yaml")[1]


def test_what_is_not_known_is_not_told() -> None:
    header = header_of(single_conv(results="f32"))
    text = card(subject(report={}, header=header, licence="unknown"))
    assert "model-index" not in front(text)
    assert "datasets" not in front(text)
    assert "Not told: this file was made without its run's report." in text
    assert licence_of("folder").may_copy is False


def test_most_data_sets_have_their_terms() -> None:
    assert set(DATASETS) - set(LICENCES) <= {"folder", "csv"}


def test_no_readme_of_others_is_lost(tmp_path: Path) -> None:
    assert cards.check(tmp_path / "a.bnn", DEFAULT) == tmp_path / "README.md"
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(ExportError, match="is there already and is no card of bnn-export"):
        cards.check(tmp_path / "a.bnn", DEFAULT)
    (tmp_path / "README.md").write_text(f"---\n---\n{MARK}\n")
    cards.check(tmp_path / "a.bnn", DEFAULT)
    folder = Target(name="c", summary="", write=lambda *_: (), is_folder=True)
    with pytest.raises(ExportError, match="--card describes a file, and c is a folder"):
        cards.check(tmp_path / "a", folder)


def test_a_packed_file_in_another_format_gets_one_too(tmp_path: Path, capsys: Any) -> None:
    page = tmp_path / "a.html"
    given = ["--checkpoint", str(ZOO / "digits/model.bnn"), "--out", str(page), "--card"]
    assert export([*given, "--with", "examples=no"]) == 0
    assert f"card: {tmp_path / 'README.md'}" in capsys.readouterr().out
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "`a.html` (web)" in text
    assert hashlib.sha256(page.read_bytes()).hexdigest() in text


# ------------------------------------------------------------------------------------------- the zoo


def test_the_zoo_is_small() -> None:
    assert {path.name for path in NETWORKS} >= {"digits", "mnist"}
    assert sum(path.stat().st_size for path in ZOO.rglob("*") if path.is_file()) < 2_000_000
    page = (ZOO / "README.md").read_text(encoding="utf-8")
    for network in NETWORKS:
        size, accuracy = (network / "model.bnn").stat().st_size, accuracy_of(network)
        assert f"| {size:,} | {accuracy:.2f} % |" in page


def accuracy_of(network: Path) -> float:
    """The top-1 on a card, in percent."""
    told = front((network / "README.md").read_text(encoding="utf-8"))
    return 100 * float(told["model-index"][0]["results"][0]["metrics"][0]["value"])


@pytest.mark.parametrize("network", NETWORKS, ids=lambda path: path.name)
def test_a_file_is_the_one_on_its_card(network: Path) -> None:
    content, text = (network / "model.bnn").read_bytes(), (network / "README.md").read_text(encoding="utf-8")
    header, _ = container.unpack(content)
    assert hashlib.sha256(content).hexdigest() in text
    table = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert table["__metadata__"]["digest"] in text
    block = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert block is not None
    told = {**yaml.safe_load(block[1]), "reference": header.experiment["reference"]}
    assert from_mapping(told) == from_mapping(header.experiment)


def test_the_digits_are_as_right_as_their_card_says() -> None:
    model = load(ZOO / "digits/model.bnn")
    experiment = from_mapping(model.header.experiment)
    section = experiment.data.model_copy(update={"normalize": ()})
    import torch

    cpu = torch.device("cpu")
    data = open_data(section, seed=experiment.seed, device=cpu, splits=("test",), preprocess={})
    pairs = [(model(pixels).argmax(1), labels.numpy()) for pixels, labels in pixel_batches(data, "test")]
    right = np.concatenate([found == wanted for found, wanted in pairs])
    assert right.mean() == pytest.approx(accuracy_of(ZOO / "digits") / 100)


@pytest.mark.data
@pytest.mark.parametrize("network", NETWORKS, ids=lambda path: path.name)
def test_the_others_too(network: Path, tmp_path: Path) -> None:
    counts = tmp_path / "counts.json"
    root = os.environ.get("BNN_DATA", "data")
    given = ["--checkpoint", str(network / "model.bnn"), "--root", root, "--json", str(counts)]
    assert evaluate(given) == 0
    assert json.loads(counts.read_text())["top1"] == pytest.approx(accuracy_of(network))
