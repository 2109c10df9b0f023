"""The shipped configs, shrunk so that they train on a few tiny files of the official formats."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bnn_train.cli.eval import main as evaluate
from bnn_train.cli.train import main as train
from bnn_train.config.loader import load
from bnn_train.config.schema import Experiment
from make_data import accept, write_cifar10, write_imagenet, write_mnist, write_svhn
from pairs import DEEPER

ROOT = Path(__file__).resolve().parents[1]
PATHS = sorted((ROOT / "configs").rglob("*.yaml"))
IMAGES = {"mnist": 20, "cifar10": 20, "svhn": 20, "imagenet": 6, "folder": 6, "digits": 500}
"""Test images of each set here."""
WIDTHS = {
    "alexnet": 0.05,
    "extraction": 0.05,
    "mlp": 32,
    "convnet": 4,
    "vgg_small": 4,
    "resnet18": 4,
    "resnet34": 4,
    "resnet20": 4,
    "resnete18": 4,
    "resnete34": 16,
    **{f"binarydensenet{depth}": 4 for depth in (28, 37, 45)},
    **{f"meliusnet{depth}": 16 for depth in (22, 29, 42, 59)},
    "quicknet": 16,
    "reactnet_a": 2,
}
"""Shrunk widths; LeNet-5 and NIN are small as they are."""
TRIAL = {
    "data.batch_size": 4,
    "data.train_limit": 4,
    "data.batches_per_epoch": "null",
    "data.validation.size": 3,
    "data.workers": 0,
    "training.epochs": 1,
    "training.accumulate": 1,
    "run.tensorboard": "false",
    "run.threads": 1,
}
"""One step."""


def label(path: Path) -> str:
    return str(path.relative_to(ROOT / "configs").with_suffix(""))


def write_sets(root: Path, patch: pytest.MonkeyPatch) -> None:
    """All four data sets below ``root``, taken for the published files."""
    write_mnist(root / "mnist")
    write_cifar10(root / "cifar10")
    write_svhn(root / "svhn")
    write_imagenet(root / "imagenet")
    write_imagenet(root / "folder", classes=("cat", "dog", "owl"))
    for name in ("mnist", "cifar10", "svhn"):
        accept(patch, root / name, name)


def trial(path: Path, sets: Path, run: Path, **more: Any) -> list[str]:
    """``bnn-train``'s arguments for one step of a shipped config on the files in ``sets``."""
    experiment = load(path)
    changes = TRIAL | {"data.root": sets / experiment.data.name, "run.dir": run, "data.test_limit": "null"}
    if experiment.data.name == "svhn":
        changes["data.validation.size"] = 30  # equally many of ten classes, two thirds from train
    if experiment.schedule.warmup:
        changes["schedule.warmup"] = 0.0
    width = WIDTHS.get(experiment.model.name)
    changes |= ({"model.width": width} if width else {}) | _fed(experiment, sets, run) | more
    settings = [part for key, value in changes.items() for part in ("--set", f"{key}={value}")]
    return ["--config", str(path), *settings]


def _fed(experiment: Experiment, sets: Path, run: Path) -> dict[str, Any]:
    """The keys that name other runs (weights to start from, teachers), after a trial of the config of each:
    ``runs/digits/fp`` is the run of ``configs/digits/fp.yaml``."""
    found: dict[str, Any] = {}
    if experiment.training.init_from is not None:
        own = experiment.training.init_from.model_dump(mode="json")
        own["checkpoint"] = str(_stage(own["checkpoint"], sets, run))
        found["training.init_from"] = json.dumps(own)
    terms = [term.model_dump(mode="json") for term in experiment.loss.terms]
    for term in terms:
        if term.get("teacher"):
            term["teacher"]["checkpoint"] = str(_stage(term["teacher"]["checkpoint"], sets, run))
    return found | ({"loss.terms": json.dumps(terms)} if terms else {})


def _stage(checkpoint: str, sets: Path, run: Path) -> Path:
    name = Path(checkpoint).relative_to("runs")
    own = run.parent / "stages" / name
    if not own.exists():
        assert train(trial(ROOT / "configs" / f"{name}.yaml", sets, own)) == 0
    return own


def trained(arguments: Sequence[str], run: Path) -> dict[str, Any]:
    """``bnn-train`` with these arguments; the report it leaves in ``run``."""
    assert train(arguments) == 0
    report: dict[str, Any] = json.loads((run / "report.json").read_text())
    return report


def evaluated(run: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The last line that ``bnn-eval`` prints."""
    capsys.readouterr()
    assert evaluate(["--checkpoint", str(run)]) == 0
    return capsys.readouterr().out.splitlines()[-1]


def cover(experiments: dict[str, Experiment]) -> list[str]:
    """Names of configs in which every method and every network stands, small images first; of networks of the
    same blocks the smallest."""
    told: set[str] = set()
    found = []
    for name in sorted(experiments, key=lambda name: (name.startswith("imagenet"), name)):
        e = experiments[name]
        if e.model.name in DEEPER:
            continue
        both = {f"method {e.method.name}", f"network {e.model.name}"}
        if not both <= told:
            told |= both
            found.append(name)
    return found
