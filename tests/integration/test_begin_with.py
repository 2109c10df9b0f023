"""Configs that begin with another run, through the commands: dry run, check, evaluation, and one sentence for
each mistake."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bnn_train.cli.eval import main as evaluate
from bnn_train.cli.train import main as train
from bnn_train.training.run import start
from tiny import tiny
from tiny_yaml import refused, write_config

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def _trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    start(tiny(folder, training={"epochs": 1}))
    return folder


@pytest.fixture
def source(_trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a finished run, beside the current directory."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(_trained, "source")
    return Path("source")


def config() -> str:
    own = {"epochs": 1, "log_every": 2, "init_from": "source"}
    term = {"name": "distillation", "teacher": "source"}
    loss = {"name": "square_hinge", "terms": [term]}
    return str(write_config(Path(), training=own, loss=loss))


@pytest.mark.usefixtures("source")
def test_a_dry_run_tells_what_the_run_begins_with(capsys: Capture) -> None:
    assert train(["--config", config(), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "The weights start from source: took 21 tensors." in out
    assert "The loss has a term of distillation from bnn mlp (source)." in out


@pytest.mark.usefixtures("source")
def test_a_check_looks_at_the_weights_that_the_run_begins_with(capsys: Capture) -> None:
    """The first loss is no guess any more: the source has learned."""
    assert train(["--config", config(), "--check"]) in (0, 1)
    out = capsys.readouterr().out
    assert "first loss" in out
    assert "overfits one batch" in out


def test_a_trained_network_is_evaluated_without_what_it_began_with(source: Path, capsys: Capture) -> None:
    assert train(["--config", config(), "--set", "run.dir=run"]) == 0
    shutil.rmtree(source)
    assert evaluate(["--checkpoint", "run"]) == 0
    assert "top-1" in capsys.readouterr().out


@pytest.mark.usefixtures("source")
@pytest.mark.parametrize("option", [[], ["--dry-run"], ["--check"]])
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (["training.init_from=nowhere"], "training.init_from: nowhere: no such checkpoint"),
        (["training.init_from.skip=[lats]"], "training.init_from.skip: 'lats' is no role"),
        (["model.width=24"], "linear1.weight is 16×36 there and 24×36 in this network"),
        (["loss.terms=[{name: distillation, teacher: nowhere}]"], "loss.terms, teacher: nowhere: no such"),
        (
            [f"training.init_from.sha256={'f' * 64}"],
            "training.init_from: source/checkpoints/best.safetensors: has",
        ),
    ],
    ids=str,
)
def test_a_mistake_is_a_sentence_and_nothing_is_written(
    changes: list[str], told: str, option: list[str], capsys: Capture
) -> None:
    sets = [word for change in changes for word in ("--set", change)]
    assert told in refused(["--config", config(), *sets, *option], capsys)
