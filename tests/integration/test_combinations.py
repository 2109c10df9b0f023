"""Every shipped config loads, builds, takes a step, evaluates and reports, on files in the official formats.

The networks are shrunk by their width, the images keep their size.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bnn_train.config.loader import load
from bnn_train.inspect.layers import layer_table
from bnn_train.models.build import build
from bnn_train.spec.inputs import input_shape, num_classes
from bnn_train.training.checkpoint import read
from bnn_train.training.restore import experiment_of
from bnn_train.training.setup import build_model
from pairs import some
from papers import weights
from shipped import IMAGES, PATHS, ROOT, cover, evaluated, label, trained, trial, write_sets

SETS = ("mnist", "cifar10", "svhn", "imagenet")
NETWORKS = ("alexnet", "resnet18")
REAL_ROLES: dict[str, set[str]] = {
    "bc": set(),
    "bnn": set(),
    "bwn": {"first", "last"},
    "xnor": {"first", "last"},
}
"""BinaryConnect and BNN binarize every layer; BWN and XNOR-Net keep the first and last real."""
THE_32 = [f"{data}/{method}_{network}" for data, network, method in product(SETS, NETWORKS, REAL_ROLES)]
OTHERS = [label(path) for path in PATHS if label(path) not in THE_32]
WHITENED = {label(path) for path in PATHS if any(step.name == "zca" for step in load(path).data.normalize)}
"""Fitting ZCA to 3072 pixels takes ten seconds."""
FULL: dict[str, str] = {
    load(path).model.name: label(path) for path in sorted(PATHS, key=lambda path: label(path) not in WHITENED)
}
"""One config of each network family."""


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder with the four data sets."""
    root = tmp_path_factory.mktemp("sets")
    with pytest.MonkeyPatch.context() as patch:
        write_sets(root, patch)
        yield root


def path_of(name: str) -> Path:
    return ROOT / "configs" / f"{name}.yaml"


def assert_trained(run: Path) -> None:
    """One step was taken, and it moved the weights of every layer."""
    checkpoint = read(run / "checkpoints" / "last.safetensors")
    assert checkpoint.state["progress"]["step"] == 1
    channels, height, width = checkpoint.state["shape"]
    classes = len(checkpoint.state["classes"])
    fresh = build_model(experiment_of(checkpoint), (channels, height, width), classes, torch.device("cpu"))
    after = checkpoint.section("model")
    moving = [(name, p) for name, p in weights_of(fresh) if ".gate." not in name]  # whose one ReLU may be off
    still = [name for name, before in moving if torch.equal(before, after[name])]
    assert not still


def weights_of(model: torch.nn.Module) -> list[tuple[str, Tensor]]:
    return [(name, p) for name, p in model.named_parameters() if p.dim() > 1 and p.requires_grad]


def steps_and_reports(name: str, sets: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = trained(trial(path_of(name), sets, run), run)
    experiment = load(path_of(name))
    assert report["total"] == IMAGES[experiment.data.name]
    assert evaluated(run, capsys) == f"top-1 {report['top1']:.2f} %"
    assert (run / "report.md").read_text().startswith("#")
    assert_trained(run)


@pytest.mark.parametrize("name", THE_32)
def test_the_32_combinations(
    name: str, sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps_and_reports(name, sets, tmp_path / "run", capsys)


def test_there_are_32() -> None:
    assert len(THE_32) == 32
    assert set(THE_32) <= {label(path) for path in PATHS}


SMALLER = ("imagenet", "svhn", "cifar10", "mnist", "digits")


def rank(name: str) -> int:
    """The later, the smaller are its images."""
    folder = name.partition("/")[0]
    return SMALLER.index(folder) if folder in SMALLER else 0


FIRST = {
    load(path_of(name)).method.name: name
    for name in sorted(OTHERS, key=lambda name: rank(name))
    if name not in WHITENED
}
"""A config of each method, of the smallest images it has one for."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name not in FIRST.values())) for name in OTHERS],
)
def test_every_other_config(
    name: str, sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps_and_reports(name, sets, tmp_path / "run", capsys)


@pytest.mark.slow
@pytest.mark.parametrize("family", FULL)
def test_full_width(family: str, sets: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    width = {"model.width": load(path_of(FULL[family])).model.model_dump().get("width")}
    more = {key: value for key, value in width.items() if value is not None}
    trained(trial(path_of(FULL[family]), sets, run, **more), run)
    assert_trained(run)
    shutil.rmtree(run)  # a gigabyte for AlexNet


COUNTED = cover({label(path): load(path) for path in PATHS})


@pytest.mark.parametrize("name", some([label(path) for path in PATHS], COUNTED))
def test_parameters_at_full_width(name: str) -> None:
    """The papers' layer lists give the weights of each role; the method says which roles are 1-bit."""
    e = load(path_of(name))
    shape, classes = input_shape(e.data), num_classes(e.data)
    with torch.device("meta"):
        model = build(e.model, e.method, shape, classes)
    rows = layer_table(model, shape)
    expected = weights(e, classes)
    expected["body"] //= e.method.weight.pre.copied  # of which the file of a checkpoint has one
    assert sum(p.numel() for p in model.parameters() if p.dim() > 1) == expected.total()
    quantized = e.method.weight.quantizer.quantizes and not e.method.weight.evaluates_latent
    real = {*(REAL_ROLES[e.method.name] if name in THE_32 else e.method.scope.real), "gates", "blur"}
    binary = sum(count for role, count in expected.items() if quantized and role not in real)
    assert sum(row.params_binary for row in rows) == binary
