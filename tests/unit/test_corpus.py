"""Checkpoints, packed files and configs of earlier releases load, and answer as they did
(``corpus/make.py``)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from bnn_train.cli.train import main as train
from bnn_train.config.loader import from_mapping, load
from bnn_train.packed import load as load_packed
from bnn_train.training.renamed import renamed
from bnn_train.training.restore import model_of, open_checkpoint
from corpus.make import pixels

CORPUS = Path(__file__).resolve().parents[1] / "corpus"
RELEASES = sorted(path for path in CORPUS.iterdir() if path.name[:1].isdigit())
RUNS = [run for release in RELEASES for run in sorted(release.iterdir())]


def answers(run: Path, kind: str) -> np.ndarray:
    found = json.loads((run / "answers.json").read_text(encoding="utf-8"))
    return np.array(found[kind], dtype=np.float32)


def test_there_is_a_corpus() -> None:
    assert [release.name for release in RELEASES] == ["0.1.0"]
    assert {run.name for run in RUNS} == {path.stem for path in (CORPUS / "yaml").glob("*.yaml")}


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_a_checkpoint_answers_as_it_did(run: Path) -> None:
    checkpoint, _ = open_checkpoint(run / "last.safetensors")
    model = model_of(checkpoint, torch.device("cpu"))
    x = torch.from_numpy(pixels().transpose(0, 3, 1, 2)).float() * (2 / 255) - 1
    with torch.no_grad():
        logits = model(x.contiguous(memory_format=torch.channels_last)).numpy()
    np.testing.assert_allclose(logits, answers(run, "checkpoint"), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_a_packed_file_answers_as_it_did(run: Path) -> None:
    packed = load_packed(run / "model.bnn")
    np.testing.assert_allclose(packed(pixels()), answers(run, "packed"), rtol=1e-4, atol=1e-5)
    stored = from_mapping(packed.header.experiment)
    assert stored.method == from_mapping(yaml.safe_load((run / "config.yaml").read_text())).method


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_the_config_that_a_person_wrote_is_the_one_that_the_run_stored(run: Path) -> None:
    written = load(CORPUS / "yaml" / f"{run.name}.yaml")
    stored = from_mapping(yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8")))
    assert written.method == stored.method
    assert (written.model, written.optimizer, written.loss) == (stored.model, stored.optimizer, stored.loss)
    assert load(run / "config.yaml").method == stored.method


@pytest.mark.parametrize(
    "name", ["bnn_mlp_adam_ema", "bop_mlp", "dorefa_resnet20", "twn_resnet20", "xnor_learned_resnet20"]
)
def test_a_run_of_an_earlier_release_goes_on(name: str, workdir: Path) -> None:
    """Its optimizer, its average and the codes of its last epoch are read, too."""
    run, old = workdir / "runs" / name, CORPUS / "0.1.0" / name
    (run / "checkpoints").mkdir(parents=True)
    shutil.copy(old / "config.yaml", run)
    for kind in ("last", "best"):
        shutil.copy(old / "last.safetensors", run / "checkpoints" / f"{kind}.safetensors")
    more = ("training.epochs=2", "schedule.over=1") if "adam" in name else ("training.epochs=2",)
    assert train(["--resume", str(run), *(word for key in more for word in ("--set", key))]) == 0
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    assert [entry["epoch"] for entry in report["history"]] == [1, 2]
    assert report["config"]["method"]["weight"]["quantizer"]["name"] != "none"


@pytest.mark.parametrize(
    ("stored", "today"),
    [
        ("model.body.1.alpha", "model.body.1.weight_quantizer.scale.alpha"),
        ("ema.module.alpha", "ema.module.weight_quantizer.scale.alpha"),
        ("model.a.weight_quantizer.scale.alpha", "model.a.weight_quantizer.scale.alpha"),
        ("model.a.input_quantizer.pre.alpha", "model.a.input_quantizer.pre.alpha"),
        ("optimizer.0.1.alpha", "optimizer.0.1.alpha"),
    ],
)
def test_only_a_layers_own_alpha_has_another_name_today(stored: str, today: str) -> None:
    assert list(renamed({stored: torch.zeros(1)})) == [today]


@pytest.mark.parametrize(
    "override",
    [
        "method.weight.scale.kind=l1",
        "method.weight.quantizer=ternary",
        "method.activation.scale=none",
        "method.block.stream=none",
    ],
)
def test_keys_of_earlier_releases_are_answered_on_the_command_line(
    override: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = CORPUS / "yaml" / "bnn_mlp_adam_ema.yaml"
    assert train(["--config", str(config), "--print-config", "--set", override]) == 0
    assert "quantizer:" in capsys.readouterr().out
