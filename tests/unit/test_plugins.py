"""An example package with a method, a quantizer, a network and a data set, found by its entry point."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import nn

from bnn_train import METHODS, BinaryConv2d, register_dataset, register_method, register_network
from bnn_train.cli.eval import main as evaluate
from bnn_train.cli.export import main as export
from bnn_train.cli.train import main as train
from bnn_train.config import plugins
from bnn_train.config.loader import from_mapping, load_settings
from bnn_train.config.schema import Data
from bnn_train.config.store import json_schema
from bnn_train.data.readers import read
from bnn_train.errors import BnnError, CheckpointError, DataError
from bnn_train.spec import outside
from bnn_train.spec.datasets import DATASETS, Dataset
from bnn_train.spec.methods.entry import variant
from bnn_train.spec.network_options import Options
from bnn_train.spec.networks import NETWORKS
from bnn_train.training.checkpoint import read as read_checkpoint
from bnn_train.training.restore import experiment_of
from tables_restored import forget, restored
from tiny_yaml import refused

PLUGIN = Path(__file__).resolve().parents[1] / "plugin"
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def registry() -> Iterator[None]:
    """The tables as they were, after the test."""
    with restored():
        yield


def install(folder: Path) -> None:
    """What pip would put there: the package, and its entry point."""
    shutil.copytree(
        PLUGIN / "bnn_example", folder / "bnn_example", ignore=shutil.ignore_patterns("__pycache__")
    )
    info = folder / "bnn_example-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bnn-example\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[bnn_train.plugins]\nexample = bnn_example:register\n")


@pytest.fixture
def example(registry: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example package on the path; an empty current folder."""
    site = tmp_path / "site"
    site.mkdir()
    install(site)
    monkeypatch.syspath_prepend(site)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return site


SETTINGS = ["method=thirds", "model={name: two_convs, width: 8}", "data={name: stripes, batch_size: 50}"]
SHORT = ["training.epochs=2", "run.dir=run", "run.tensorboard=false", "run.threads=1"]


def words(settings: list[str]) -> list[str]:
    return [part for setting in settings for part in ("--set", setting)]


def test_the_example_trains_evaluates_and_exports(
    example: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert train([*words(SETTINGS + SHORT)]) == 0
    assert json.loads(Path("run/report.json").read_text())["top1"] > 90
    assert evaluate(["--checkpoint", "run"]) == 0
    assert export(["--checkpoint", "run", "--out", "m.bnn", "--no-latency"]) == 0
    assert evaluate(["--checkpoint", "m.bnn", "--kernel", "reference"]) == 0
    checkpoint = read_checkpoint(Path("run/checkpoints/best.safetensors"))
    assert checkpoint.state["plugins"] == ["bnn-example 1.0"]
    capsys.readouterr()
    # Where the package is not installed:
    monkeypatch.setenv(plugins.SWITCH, "off")
    for table, added in ((METHODS, "thirds"), (NETWORKS, "two_convs"), (DATASETS, "stripes")):
        monkeypatch.delitem(table, added)
    forget()
    with pytest.raises(CheckpointError, match=r"the plug-in bnn-example 1\.0, which is not installed here"):
        experiment_of(checkpoint)
    told = refused(["--checkpoint", "run"], capsys, evaluate)
    assert "bnn-example 1.0" in told
    assert "unknown method 'thirds'" in told


def test_lists_and_schema_know_it(example: Path, capsys: Capture) -> None:
    assert train(["--list"]) == 0
    listed = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")}
    assert {"thirds", "two_convs", "stripes"} <= listed
    assert train(["--list", "methods", "thirds"]) == 0
    assert "against bnn:" in capsys.readouterr().out
    schema = json.dumps(json_schema())
    assert all(f'"{name}"' in schema for name in ("thirds", "two_convs", "stripes"))
    assert load_settings(SETTINGS).run.dir == "runs/stripes/thirds_two_convs"


def test_its_mistakes_are_told_like_ours(example: Path, capsys: Capture) -> None:
    told = refused(words([SETTINGS[0], "model={name: two_convs, widht: 8}", SETTINGS[2]]), capsys)
    assert told.endswith("model.widht: unknown key (did you mean width?)")
    assert "did you mean stripes?" in refused(words([*SETTINGS[:2], "data=stripe"]), capsys)


def test_layers_know_its_method(example: Path) -> None:
    layer = BinaryConv2d(2, 3, 3, method="thirds", role="body")
    assert layer.input_quantizer is not None
    codes = layer.input_quantizer(torch.tensor([-1.0, -0.2, 0.0, 0.34, 2.0]))
    assert codes.tolist() == [-1, 0, 0, 1, 1]


def test_a_plugin_that_fails(example: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    (example / "bnn_example/__init__.py").write_text("def register():\n    1 / 0\n")
    settings = words(["method=bnn", "model=mlp", "data=digits", "run.dir=r"])
    told = refused([*settings, "--print-config"], capsys)
    assert told == (
        "plug-in example of bnn-example 1.0 (bnn_example:register) cannot be loaded: ZeroDivisionError:"
        " division by zero; repair or uninstall it, or set BNN_PLUGINS=off"
    )
    monkeypatch.setenv(plugins.SWITCH, "off")
    assert train([*settings, "--print-config"]) == 0


# ------------------------------------------------------------------------------------ by a script


class Dot(Options):
    """One layer."""

    name: Literal["dot"]


def dot(options: Dot, layers: Any, shape: tuple[int, int, int], classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), layers.linear("body", int(np.prod(shape)), classes))


SPOTS = Dataset(
    name="spots",
    title="spots",
    shape=(1, 8, 8),
    num_classes=2,
    train=40,
    test=20,
    validation=8,
    mean=(0.5,),
    std=(0.5,),
)


@pytest.mark.usefixtures("registry")
def test_a_script_may_register_at_any_time_and_again() -> None:
    images = np.zeros((60, 1, 8, 8), np.uint8)
    for _ in range(2):
        register_network(Dot, dot)
        register_method(variant(METHODS["bnn"], "mine"))
        register_dataset(SPOTS, lambda config, part: (images, np.arange(60) % 2))
    experiment = load_settings(["method=mine", "model=dot", "data={name: spots, batch_size: 8}"])
    assert from_mapping(experiment.model_dump(mode="json")) == experiment.model_copy()
    assert plugins.origins(experiment) == []
    assert read(experiment.data, "train").labels.sum() == 30


@pytest.mark.usefixtures("registry")
def test_names_that_are_taken_or_are_none() -> None:
    with pytest.raises(ValueError, match="method 'bnn' is there already, from bnn_train itself"):
        register_method(METHODS["bnn"])
    with pytest.raises(ValueError, match="network 'mlp' is there already"):
        register_network(NETWORKS["mlp"], dot)
    with pytest.raises(ValueError, match="method 'My Method': a name is made of"):
        register_method(variant(METHODS["bnn"], "My Method"))
    with pytest.raises(ValueError, match="its options need the line"):
        register_network(Options, dot)
    with pytest.raises(ValueError, match="layout must be tensor"):
        register_dataset(SPOTS.model_copy(update={"layout": "folder"}), lambda config, part: None)


@pytest.mark.parametrize(
    ("images", "labels", "told"),
    [
        (np.zeros((3, 1, 8, 8)), [0, 1, 0], "images are float64 3×1×8×8, not uint8 N×1×8×8"),
        (np.zeros((3, 8, 8), np.uint8), [0, 1, 0], "images are uint8 3×8×8"),
        (np.zeros((3, 1, 8, 8), np.uint8), [0, 1], "labels are int64 2, not 3 whole numbers"),
        (np.zeros((2, 1, 8, 8), np.uint8), [0, 2], "a label outside 0 … 1"),
    ],
)
@pytest.mark.usefixtures("registry")
def test_images_that_are_not_what_the_row_promises(images: Any, labels: Any, told: str) -> None:
    register_dataset(SPOTS, lambda config, part: (images, labels))
    with pytest.raises(DataError, match=told):
        read(Data.model_validate({"name": "spots"}), "train")


@pytest.mark.usefixtures("registry")
def test_a_builder_that_is_not_there() -> None:
    register_network(Dot, "no_such_package:net")
    with pytest.raises(BnnError, match="no_such_package:net, which a plug-in registered, cannot be imported"):
        outside.maker_of(Dot)
