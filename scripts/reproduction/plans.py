"""A row as it will run: its config, what is laid over it, its folders."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bnn_train.config.loader import load
from bnn_train.config.schema import Experiment
from bnn_train.errors import ConfigError
from reproduction.shorten import shortening
from reproduction.tables import Row

ROOT = Path(__file__).resolve().parents[2]
FREE: Any = {
    "reference": True,
    "run": True,
    "data": {
        "root": True,
        "download": True,
        "workers": True,
        "eval_batch_size": True,
        "on_error": True,
        "validation": {"by": True, "drawn": True},
    },
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
    published: Experiment
    """The row without ``--set`` and in full length."""
    changes: tuple[str, ...]
    """Everything laid over the config, without seed, folder and surroundings."""
    cut: bool
    """Whether ``--fast`` made it shorter."""
    foreign: tuple[str, ...]
    """What ``--set`` changed of what a result depends on."""
    options: Options

    @property
    def path(self) -> Path:
        """The config."""
        return config_path(self.row)

    @property
    def folder(self) -> Path:
        """Where its runs stand, a folder a seed."""
        length = f"fast{self.options.fast}" if self.cut else "full"
        return self.options.out / length / self.row.name

    def experiment(self, seed: int) -> Experiment:
        """The experiment of one seed, in its own folder."""
        own = [f"seed={seed}", f"run.dir={json.dumps(str(self.folder / f'seed{seed}'))}"]
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
    path, laid = config_path(row), [*row.overrides, *options.sets]
    full = load(path, [*laid, *options.surroundings])
    short = shortening(full, options.fast)
    published = load(path, row.overrides)
    plan = Plan(
        row=row,
        published=published,
        changes=(*laid, *short),
        cut=bool(short),
        foreign=_foreign(path, row, published, options.sets),
        options=options,
    )
    plan.experiment(1)  # what is wrong with the shortened one is told before anything trains
    return plan


def _foreign(path: Path, row: Row, published: Experiment, sets: Sequence[str]) -> tuple[str, ...]:
    if digest(load(path, [*row.overrides, *sets])) == digest(published):
        return ()
    return tuple(one for one in sets if digest(_alone(path, row, one)) != digest(published)) or tuple(sets)


def _alone(path: Path, row: Row, override: str) -> Experiment | None:
    """The row with one override only; None where it needs the others."""
    try:
        return load(path, [*row.overrides, override])
    except ConfigError:
        return None


def digest(experiment: Experiment | None) -> str:
    """SHA-256 over everything that a result depends on; of nothing, empty."""
    if experiment is None:
        return ""
    values = experiment.model_dump(mode="json", exclude=FREE)
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
