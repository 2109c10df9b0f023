"""A row as it will run: its config, what is laid over it, its folders."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bnn_train.config.loader import default_run_dir, load
from bnn_train.config.schema import Experiment, InitFrom
from bnn_train.errors import ConfigError
from bnn_train.training.source import taught
from reproduction.shorten import shortening
from reproduction.tables import Row, Stage

ROOT = Path(__file__).resolve().parents[2]
FREE: Any = {
    "reference": True,
    "run": True,
    "data": {
        "root": True,
        "download": True,
        "workers": True,
        "resident": True,
        "eval_batch_size": True,
        "on_error": True,
        "validation": {"by": True, "drawn": True},
    },
    "training": {
        "log_every": True,
        "checkpoint_every": True,
        "checkpoint_minutes": True,
        "init_from": {"checkpoint": True, "sha256": True},
    },
    "loss": {"terms": {"__all__": {"teacher": True}}},
}
"""Keys that change no result, and where a row's stages lie."""


@dataclass(frozen=True)
class Options:
    """Choices that hold for all rows of a call."""

    out: Path
    seeds: Sequence[int] = (1,)
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
    """The overrides of ``--set`` that a result depends on."""
    options: Options

    @property
    def path(self) -> Path:
        """The config."""
        return config_path(self.row)

    @property
    def folder(self) -> Path:
        """The folder of its runs, with one for each seed."""
        length = f"fast{self.options.fast}" if self.cut else "full"
        return self.options.out / length / self.row.name

    def experiment(self, seed: int) -> Experiment:
        """The experiment of one seed, in its own folder, behind the row's stages."""
        stages = self.stages(seed)
        own = self._loaded(self.path, self.changes, seed, self.folder / f"seed{seed}")
        return _fed(own, self.row.stages[-1].feeds, stages[-1]) if stages else own

    def stages(self, seed: int) -> list[Experiment]:
        """The trainings before it, in order, each in its own folder."""
        found: list[Experiment] = []
        for number, stage in enumerate(self.row.stages):
            path, laid = config_path(stage), [*stage.overrides, *self.options.sets]
            short = shortening(load(path, laid), self.options.fast)
            folder = self.folder / f"seed{seed}-{stage.name}"
            own = self._loaded(path, [*laid, *short], seed, folder)
            found.append(_fed(own, self.row.stages[number - 1].feeds, found[-1]) if found else own)
        return found

    def _loaded(self, path: Path, changes: Sequence[str], seed: int, folder: Path) -> Experiment:
        own = [f"seed={seed}", f"run.dir={json.dumps(str(folder))}"]
        return load(path, [*changes, *self.options.surroundings, *own])

    @property
    def command(self) -> str:
        """The same run without this script, a line a stage; the first seed."""
        lines: list[str] = []
        fed: list[str] = []
        for stage in self.row.stages:
            path, folder = config_path(stage), f"{default_run_dir(config_path(stage))}-{stage.name}"
            laid = [*stage.overrides, *self.options.sets, *fed]
            lines.append(_command(path, [*laid, "seed=1", f"run.dir={folder}"]))
            fed = [self._feeding(stage, folder)]
        return "\n".join([*lines, _command(self.path, [*self.changes, *fed, "seed=1"])])

    def _feeding(self, stage: Stage, folder: str) -> str:
        """The override by which the training after a stage begins with it."""
        if stage.feeds == "start":
            return f"training.init_from.checkpoint={folder}"
        following = self.row.stages[self.row.stages.index(stage) + 1 :]
        path = config_path(following[0]) if following else self.path
        terms = load(path).loss.model_dump(mode="json")["terms"]
        return f"loss.terms={json.dumps([{**term, 'teacher': folder} for term in terms])}"


def _command(path: Path, changes: Sequence[str]) -> str:
    settings = [word for change in changes for word in ("--set", change)]
    return shlex.join(["bnn-train", "--config", str(path.relative_to(ROOT)), *settings])


def _fed(experiment: Experiment, feeds: str, former: Experiment) -> Experiment:
    """The experiment with the best checkpoint of the one before it, as its start or as its teacher."""
    place = {"checkpoint": former.run.dir, "sha256": None}
    if feeds == "start":
        start = experiment.training.init_from or InitFrom(checkpoint=str(former.run.dir))
        training = experiment.training.model_copy(update={"init_from": start.model_copy(update=place)})
        return experiment.model_copy(update={"training": training})
    terms = [taught(term, lambda teacher: teacher.model_copy(update=place)) for term in experiment.loss.terms]
    return experiment.model_copy(update={"loss": experiment.loss.model_copy(update={"terms": tuple(terms)})})


def config_path(row: Row | Stage) -> Path:
    """The file of a row's or a stage's config."""
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
