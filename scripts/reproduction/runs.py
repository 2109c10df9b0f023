"""The runs behind a row: one for each seed, finished ones recognised, half-finished ones gone on with."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bnn_train.cli.common import say
from bnn_train.config.loader import from_mapping, load
from bnn_train.config.schema import Experiment
from bnn_train.errors import BnnError, Interrupted, RunError
from reproduction.shorten import shortening
from reproduction.tables import Row

ROOT = Path(__file__).resolve().parents[2]
FREE: Any = {
    "reference": True,
    "run": True,
    "data": {"root": True, "download": True, "workers": True, "eval_batch_size": True},
    "training": {"log_every": True, "checkpoint_every": True},
}
"""What changes no result."""


@dataclass(frozen=True)
class Options:
    """What holds for all rows of a call."""

    out: Path
    seeds: int = 1
    fast: int | None = None
    """At most so many epochs."""
    sets: tuple[str, ...] = ()
    root: str | None = None
    threads: int | None = None

    @property
    def surroundings(self) -> list[str]:
        """Overrides that change no result."""
        root = [] if self.root is None else [f"data.root={json.dumps(self.root)}"]
        threads = [] if self.threads is None else [f"run.threads={self.threads}"]
        return [*root, *threads, "run.tensorboard=false"]


@dataclass(frozen=True)
class Plan:
    """A row as it will run."""

    row: Row
    full: Experiment
    """As published, with ``--set`` but in full length."""
    changes: tuple[str, ...]
    """Everything laid over the config, without seed, folder and surroundings."""
    options: Options

    @property
    def path(self) -> Path:
        """The config."""
        return config_path(self.row)

    def experiment(self, seed: int) -> Experiment:
        """The experiment of one seed, in its own folder."""
        length = "full" if self.options.fast is None else f"fast{self.options.fast}"
        folder = self.options.out / length / self.row.name / f"seed{seed}"
        own = [f"seed={seed}", f"run.dir={json.dumps(str(folder))}"]
        return load(self.path, [*self.changes, *self.options.surroundings, *own])

    @property
    def command(self) -> str:
        """The same run without this script; the first seed."""
        config = self.path.relative_to(ROOT)
        settings = [word for change in (*self.changes, "seed=1") for word in ("--set", change)]
        return shlex.join(["bnn-train", "--config", str(config), *settings])


def config_path(row: Row) -> Path:
    """The file of a row's config."""
    return ROOT / "configs" / f"{row.config}.yaml"


def planned(row: Row, options: Options) -> Plan:
    """Read a row's config. Raises ConfigError for overrides that cannot be."""
    laid = [*row.overrides, *options.sets]
    full = load(config_path(row), [*laid, *options.surroundings])
    return Plan(row, full, (*laid, *shortening(full, options.fast)), options)


def digest(experiment: Experiment) -> str:
    """SHA-256 over everything that a result depends on."""
    values = experiment.model_dump(mode="json", exclude=FREE)
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def report_of(experiment: Experiment) -> dict[str, Any]:
    """The report of a run: the finished one's, or that of going on, or that of a fresh start."""
    path = Path(experiment.run.dir or "")
    if (path / "config.yaml").is_file() and digest(load(path / "config.yaml")) != digest(experiment):
        raise RunError(f"{path}: holds a run of another config; choose another --out, or remove the folder")
    if (done := _finished(path, experiment)) is not None:
        say(f"{path}: finished before, top-1 {done['top1']:.2f} %")
        return done
    return _trained(path, experiment)


def _finished(path: Path, experiment: Experiment) -> dict[str, Any] | None:
    try:
        report: dict[str, Any] = json.loads((path / "report.json").read_text(encoding="utf-8"))
        return report if digest(from_mapping(report["config"])) == digest(experiment) else None
    except (OSError, ValueError, KeyError, TypeError, BnnError):
        return None


def _trained(path: Path, experiment: Experiment) -> dict[str, Any]:
    from bnn_train.training.run import resume, start  # torch, which --list does without

    try:
        if any((path / "checkpoints").glob("*.safetensors")):
            say(f"{path}: going on")
            return resume(path, experiment, warn=lambda sentence: say(f"warning: {sentence}"))
        say(f"{path}: training")
        run = experiment.run.model_copy(update={"overwrite": True})
        return start(experiment.model_copy(update={"run": run}))
    except Interrupted as stopped:
        raise Interrupted(
            f"{stopped.args[0].partition(';')[0]}; saved, go on with the same command", stopped.exit_code
        ) from None


def seeds_of(options: Options) -> Sequence[int]:
    """1, 2, …"""
    return range(1, options.seeds + 1)
