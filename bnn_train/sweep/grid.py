"""A grid file → runs: every combination of values, each an experiment of its own with its name. No torch."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from bnn_train.config.loader import load
from bnn_train.config.schema import Experiment
from bnn_train.config.yaml_reader import read_yaml
from bnn_train.errors import ConfigError
from bnn_train.files import expanded
from bnn_train.spec.record import Record

SEED = "seed"
MAX_RUNS = 10_000
_WORD = re.compile(r"[A-Za-z_/][\w./-]*")
_NO_TEXT = {"true", "false", "null"}


class Grid(Record):
    """The keys of a grid file."""

    config: str
    """The experiment that every run starts from; a path from the grid's folder, or from the current one."""
    dir: str | None = None
    """The folder of the runs and of the table; default: runs/ and the grid's name."""
    set: dict[str, Any] = Field(default={})
    """Keys of the config, as for `--set`, the same in all runs."""
    grid: Annotated[dict[str, Annotated[list[Any], Field(min_length=1)]], Field(min_length=1)]
    """Keys of the config and the values of each; every combination is a run."""
    skip: list[dict[str, Any]] = Field(default=[])
    """Combinations that are left out: those that have all of these values."""


@dataclass(frozen=True)
class Planned:
    """One run of a sweep."""

    name: str
    folder: Path
    config: Path
    overrides: tuple[str, ...]
    """As `--set` takes them, the run's folder included."""
    values: Mapping[str, Any]
    """By the key of the grid."""
    experiment: Experiment

    @property
    def words(self) -> list[str]:
        """The command's arguments; they begin the run, or go on with it."""
        settings = [word for text in self.overrides for word in ("--set", text)]
        return ["--config", str(self.config), *settings, "--resume"]


@dataclass(frozen=True)
class Plan:
    """All runs of a sweep, in the order of the file."""

    folder: Path
    keys: tuple[str, ...]
    runs: tuple[Planned, ...]


def plan(path: Path) -> Plan:
    """The runs of a grid file. Raises ConfigError with the mistakes of all of them, each told once."""
    grid = _read(path)
    config = _beside(path, grid.config)
    folder = expanded(grid.dir or f"runs/{path.stem}")
    combinations = list(_combinations(grid))
    if not 0 < len(combinations) <= MAX_RUNS:
        raise ConfigError([f"{path}: grid: {len(combinations)} runs; give from 1 to {MAX_RUNS:,}"])
    names = _names(combinations)
    runs, mistakes = [], dict[str, str]()
    for name, values in zip(names, combinations, strict=True):
        own = folder / name
        settings = {**grid.set, **values, "run.dir": str(own)}
        overrides = tuple(override(key, value) for key, value in settings.items())
        try:
            experiment = load(config, overrides)
        except ConfigError as error:
            for problem in error.problems:
                mistakes.setdefault(problem, name)
            continue
        runs.append(Planned(name, own, config, overrides, values, experiment))
    if mistakes:
        raise ConfigError([f"{problem} (in {name})" for problem, name in mistakes.items()])
    return Plan(folder, tuple(grid.grid), tuple(runs))


def override(key: str, value: Any) -> str:
    """``key=value`` as `--set` reads it back."""
    is_word = isinstance(value, str) and _WORD.fullmatch(value) and value.lower() not in _NO_TEXT
    return f"{key}={value if is_word else json.dumps(value)}"


def _read(path: Path) -> Grid:
    document = read_yaml(path, str(path))
    if document.problems:
        raise ConfigError(document.problems)
    if not isinstance(document.data, dict):
        raise ConfigError([f"{path}: must hold the keys config and grid"])
    try:
        return Grid.model_validate(document.data)
    except ValidationError as error:
        raise ConfigError([_told(detail, document.positions, path) for detail in error.errors()]) from None


def _told(detail: Any, positions: Mapping[Any, str], path: Path) -> str:
    location = tuple(detail["loc"])
    parents = (location[:n] for n in range(len(location), 0, -1))
    place = next((positions[parent] for parent in parents if parent in positions), path)
    known = ", ".join(Grid.model_fields)
    what = {
        "extra_forbidden": f"unknown key; a grid has {known}",
        "missing": "is missing",
        "list_type": "must be a list of values",
    }.get(detail["type"], detail["msg"])
    return f"{place}: {'.'.join(map(str, location))}: {what}"


def _beside(grid: Path, config: str) -> Path:
    own = expanded(config)
    beside = grid.parent / own
    return beside if not own.is_absolute() and beside.is_file() else own


def _combinations(grid: Grid) -> Iterator[dict[str, Any]]:
    for values in product(*grid.grid.values()):
        found = dict(zip(grid.grid, values, strict=True))
        if not any(_has(found, left_out) for left_out in grid.skip):
            yield found


def _has(found: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    return all(key in found and found[key] == value for key, value in values.items())


def _names(combinations: Sequence[Mapping[str, Any]]) -> list[str]:
    """Folder names: names by themselves, other values behind the last word of their key."""
    names = ["-".join(_part(key, value) for key, value in values.items()) for values in combinations]
    twice = {name for name, count in Counter(names).items() if count > 1}
    return [f"{name}-{i + 1}" if name in twice else name for i, name in enumerate(names)]


def _part(key: str, value: Any) -> str:
    shown = value.get("name", json.dumps(value)) if isinstance(value, dict) else value
    text = shown if isinstance(shown, str) else json.dumps(shown)
    clean = re.sub(r"[^\w.+=-]+", "_", text).strip("_")[:60]
    return clean if isinstance(shown, str) else f"{key.rpartition('.')[2]}{clean}"
