"""The commands as functions: ``train``, ``evaluate``, ``export``, ``load``; mistakes raise ``BnnError``."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bnn_train.cli.checkpoints import find, find_own, is_packed
from bnn_train.cli.eval_runs import score_checkpoint, score_packed
from bnn_train.cli.export import parser
from bnn_train.cli.export import run as run_export
from bnn_train.config import loader
from bnn_train.config.schema import Experiment
from bnn_train.data.normalize import Normalizer
from bnn_train.data.pixels import fitted_normalizer
from bnn_train.errors import BnnError, DataError, RunError
from bnn_train.files import expanded
from bnn_train.inspect.evaluation import Evaluation
from bnn_train.launch import launched
from bnn_train.models.build import build
from bnn_train.packed import PackedModel
from bnn_train.packed import load as load_packed
from bnn_train.spec.method import Method
from bnn_train.training import run
from bnn_train.training.folder import run_path
from bnn_train.training.restore import model_of, open_checkpoint

Settings = Mapping[str, object] | Sequence[str]
"""Keys of a config with their values, ``{"training.epochs": 5}``, or as after ``--set``: ``["seed=5"]``."""


@dataclass(frozen=True)
class Run:
    """A training that has ended: its folder, and its report as ``report.json`` has it."""

    path: Path
    report: dict[str, Any]

    @property
    def top1(self) -> float:
        """Percent of the test images."""
        return float(self.report["top1"])


@dataclass(frozen=True)
class Trained:
    """A network from a checkpoint, in evaluation mode on the CPU.

    Called with raw pixels, uint8 N×H×W×C, it gives float32 logits N×classes, as a packed file does.
    """

    model: nn.Module
    """Takes normalized images N×C×H×W."""
    normalizer: Normalizer
    """Makes them of uint8 N×C×H×W."""
    experiment: Experiment
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    """C×H×W."""

    @torch.no_grad()
    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        channels, height, width = self.shape
        wanted = (height, width, channels)
        if pixels.dtype != np.uint8 or pixels.shape[1:] != wanted:
            found = f"{pixels.dtype} {'×'.join(map(str, pixels.shape))}"
            raise DataError(f"images must be uint8 N×{'×'.join(map(str, wanted))}, not {found}")
        images = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
        logits: NDArray[np.float32] = self.model(self.normalizer(images)).float().numpy()
        return logits


def experiment(config: str | Path | Experiment | None = None, settings: Settings = ()) -> Experiment:
    """A config by path or by the name of a shipped one, with settings laid over it; settings alone may do."""
    words = (
        [f"{key}={json.dumps(value)}" for key, value in settings.items()]
        if isinstance(settings, Mapping)
        else settings
    )
    if isinstance(config, Experiment):
        return loader.override(config, words) if words else config
    return loader.load_settings(words) if config is None else loader.load(config, words)


def train(
    config: str | Path | Experiment | None = None, settings: Settings = (), *, resume: bool = False
) -> Run:
    """Train as ``bnn-train`` does, into the config's run folder; ``resume``: go on with the run there."""
    if launched():
        raise RunError("several processes train by `torchrun -m bnn_train`; a script is one process")
    chosen = experiment(config, settings)
    path = run_path(chosen)
    return Run(path, run.resume(path, chosen) if resume else run.start(chosen))


def evaluate(
    checkpoint: str | Path,
    split: str = "test",
    *,
    root: str | Path | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    kernel: str | None = None,
    threads: int = 1,
) -> Evaluation:
    """Score a run's best checkpoint, a checkpoint or a packed file on a split, as ``bnn-eval`` does."""
    path = find(expanded(checkpoint))
    given = {"root": None if root is None else str(root), "eval_batch_size": batch_size}
    changes = {key: value for key, value in given.items() if value is not None}
    if is_packed(path):
        return score_packed(path, split, changes, kernel=kernel, threads=threads).evaluation
    return score_checkpoint(path, split, changes, device=device).evaluation


def export(checkpoint: str | Path, out: str | Path, **options: object) -> dict[str, Any]:
    """Write a checkpoint in another format as ``bnn-export`` does; its report. ``options`` are the command's:
    ``format="onnx"``, ``first_layer="int8"``. Raises ExportError where the written network does not agree."""
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        words = ["--checkpoint", str(checkpoint), "--out", str(out), "--report", str(report)]
        for name, value in options.items():
            flag = f"--{name.replace('_', '-')}"
            words += [flag] if value is True else [] if value in (False, None) else [flag, str(value)]
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                run_export(_parsed(words))
        finally:
            torch.set_num_threads(threads)
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return found


def _parsed(words: list[str]) -> argparse.Namespace:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return parser().parse_args(words)
    except SystemExit:
        raise BnnError(said.getvalue().strip().splitlines()[-1]) from None


def load(path: str | Path) -> Trained | PackedModel:
    """A run's best checkpoint, a checkpoint, or a packed file, to be called with raw pixels."""
    file = find_own(expanded(path))
    if is_packed(file):
        return load_packed(file)
    checkpoint, chosen = open_checkpoint(file)
    return Trained(
        model=model_of(checkpoint, torch.device("cpu")),
        normalizer=fitted_normalizer(chosen.data, checkpoint.section("preprocess")),
        experiment=chosen,
        classes=tuple(checkpoint.state["classes"]),
        shape=tuple(checkpoint.state["shape"]),
    )


def build_model(
    network: str | Mapping[str, object],
    method: str | Mapping[str, object] | Method,
    *,
    shape: tuple[int, int, int],
    classes: int,
) -> nn.Module:
    """A network by name, with a method's layers, freshly initialised; N×C×H×W → N×classes logits.

    ``shape`` is C×H×W. Both may be mappings as in a config: ``{"name": "resnet20", "width": 32}``.
    """
    row = None if isinstance(method, Method) else method
    checked = loader.from_mapping({"method": row or "fp", "model": network, "data": "synthetic"})
    return build(checked.model, method if isinstance(method, Method) else checked.method, shape, classes)
