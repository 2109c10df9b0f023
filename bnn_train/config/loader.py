"""The way in: a config file and overrides → a validated experiment, or every mistake at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bnn_train.config.checks import problems
from bnn_train.config.local import is_utf8
from bnn_train.config.migrate import migrated
from bnn_train.config.plugins import load_plugins
from bnn_train.config.schema import Experiment
from bnn_train.config.sentences import Mistake, mistake, shown
from bnn_train.config.shipped import resolved
from bnn_train.config.sources import Source, compose, overlay
from bnn_train.config.store import dump, experiment_hash, json_schema
from bnn_train.config.yaml_reader import KeyPath
from bnn_train.errors import ConfigError

__all__ = ["dump", "experiment_hash", "from_mapping", "json_schema", "load", "load_settings", "override"]


def load(path: Path | str, overrides: Sequence[str] = ()) -> Experiment:
    """Read a config, by path or by the name of a shipped one, what it extends, and ``a.b=c`` overrides; fill
    in the default ``run.dir``.

    Raises ConfigError with one line per mistake: ``file:line: path: what is wrong``.
    """
    path = resolved(path)
    return _housed(_checked(compose(path, overrides)), path)


def load_settings(settings: Sequence[str]) -> Experiment:
    """An experiment of ``a.b=c`` settings alone, without a file; its run: ``runs/DATA/METHOD_NETWORK``.

    Raises ConfigError with every mistake.
    """
    experiment = _checked(overlay(Source({}, {(): "--set"}, []), settings))
    names = f"{experiment.method.name}_{experiment.model.name}"
    return _housed(experiment, Path("configs", experiment.data.name, names))


def _housed(experiment: Experiment, path: Path) -> Experiment:
    if experiment.run.dir is not None:
        return experiment
    folder = default_run_dir(path)
    if not is_utf8(folder):
        raise ConfigError(
            [f"{path}: its name is not UTF-8, and so would be the run's; give --set run.dir=FOLDER"]
        )
    run = experiment.run.model_copy(update={"dir": folder})
    return experiment.model_copy(update={"run": run})


def override(experiment: Experiment, overrides: Sequence[str]) -> Experiment:
    """A stored experiment with ``a.b=c`` laid over it. Raises ConfigError with every mistake."""
    source = overlay(Source(experiment.model_dump(), {(): "the stored config"}, []), overrides)
    return _checked(source)


def from_mapping(data: Mapping[str, Any]) -> Experiment:
    """The experiment that a checkpoint or run folder stores, of this release or an earlier one. Raises
    ConfigError."""
    return _validated(migrated(data), lambda key: "")


def default_run_dir(path: Path) -> str:
    """``configs/mnist/bnn_mlp.yaml`` → ``runs/mnist/bnn_mlp``; outside a configs folder, ``runs/<stem>``."""
    parts = path.absolute().with_suffix("").parts
    folders = parts[:-1]
    if "configs" not in folders:
        return f"runs/{parts[-1]}"
    last = len(folders) - 1 - folders[::-1].index("configs")
    return "/".join(("runs", *parts[last + 1 :]))


def _checked(source: Source) -> Experiment:
    def place(key: KeyPath) -> str:
        return f"{source.place(key)}: "

    experiment = _validated(source.data, place, source.problems)
    mistakes = problems(experiment)
    if mistakes or source.problems:
        raise ConfigError(source.problems + [_line(found, place) for found in mistakes])
    return experiment


def _validated(
    data: Mapping[str, Any], place: Callable[[KeyPath], str], earlier: Sequence[str] = ()
) -> Experiment:
    load_plugins()
    try:
        return Experiment.model_validate(dict(data))
    except ValidationError as error:
        found = dict.fromkeys(mistake(detail, data) for detail in error.errors(include_url=False))
        raise ConfigError([*earlier, *(_line(one, place) for one in found)]) from None


def _line(found: Mistake, place: Callable[[KeyPath], str]) -> str:
    path, sentence = found
    return f"{place(path)}{shown(path)}: {sentence}"
