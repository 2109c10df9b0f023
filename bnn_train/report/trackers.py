"""Other people's trackers of runs, each behind two functions: local or offline unless told otherwise.

What a run logs is in metrics.jsonl in any case; a tracker gets a copy of its numbers.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from bnn_train.errors import RunError
from bnn_train.files import write_atomic

PROJECT = "bnn_train"
CSV, IDS = "metrics.csv", "trackers.json"
_PARAMS = 100
"""MLflow takes no more at once."""
Numbers = Mapping[str, float]
Config = Mapping[str, Any]


class Tracker(Protocol):
    """Where the numbers of a run go."""

    def log(self, event: str, step: int, epoch: int, numbers: Numbers) -> None:
        """Numbers by tag, ``event/name`` or ``statistic/layer``."""

    def close(self) -> None:
        """Nothing more comes."""


class Table:
    """metrics.csv in the run's folder: a row an epoch, written anew each time, since columns may join."""

    def __init__(self, folder: Path, resume_step: int | None) -> None:
        self._path = folder / CSV
        self._rows: list[dict[str, str]] = []
        if resume_step is not None and self._path.is_file():
            kept = csv.DictReader(io.StringIO(self._path.read_text(encoding="utf-8")))
            self._rows = [row for row in kept if int(row["step"]) <= resume_step]

    def log(self, event: str, step: int, epoch: int, numbers: Numbers) -> None:
        """See ``Tracker``; of the events, the epochs alone."""
        if event != "epoch":
            return
        own = {name.removeprefix("epoch/"): f"{number:.6g}" for name, number in numbers.items()}
        self._rows.append({"epoch": str(epoch), "step": str(step), **own})
        columns = list(dict.fromkeys(name for row in self._rows for name in row))
        stream = io.StringIO()
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        write_atomic(self._path, stream.getvalue())

    def close(self) -> None:
        """See ``Tracker``."""


class MLflow:
    """An MLflow run, in its own local store unless MLFLOW_TRACKING_URI names a server."""

    def __init__(self, module: Any, run: str, config: Config, ids: _Ids) -> None:
        self._mlflow = module
        module.set_experiment(PROJECT)
        known = ids.get("mlflow")
        begun = module.start_run(run_id=known) if known else module.start_run(run_name=run)
        ids.put("mlflow", begun.info.run_id)
        if not known:
            items = list(config.items())
            for at in range(0, len(items), _PARAMS):
                module.log_params(dict(items[at : at + _PARAMS]))

    def log(self, event: str, step: int, epoch: int, numbers: Numbers) -> None:
        """See ``Tracker``."""
        self._mlflow.log_metrics(dict(numbers), step=step)

    def close(self) -> None:
        """See ``Tracker``."""
        self._mlflow.end_run()


class WandB:
    """A Weights & Biases run, offline unless WANDB_MODE says otherwise."""

    def __init__(self, module: Any, run: str, config: Config, ids: _Ids) -> None:
        known, mode = ids.get("wandb"), os.environ.get("WANDB_MODE", "offline")
        more = {"id": known, "resume": "allow"} if known else {}
        self._run = module.init(project=PROJECT, name=run, config=dict(config), mode=mode, **more)
        ids.put("wandb", self._run.id)

    def log(self, event: str, step: int, epoch: int, numbers: Numbers) -> None:
        """See ``Tracker``."""
        self._run.log({**numbers, "epoch": epoch}, step=step)

    def close(self) -> None:
        """See ``Tracker``."""
        self._run.finish()


class Trackio:
    """A trackio run, in its local database."""

    def __init__(self, module: Any, run: str, config: Config, ids: _Ids) -> None:
        known = ids.get("trackio")
        self._run = module.init(
            project=PROJECT, name=known or run, config=dict(config), resume="allow" if known else "never"
        )
        ids.put("trackio", known or run)

    def log(self, event: str, step: int, epoch: int, numbers: Numbers) -> None:
        """See ``Tracker``."""
        self._run.log({**numbers, "epoch": epoch}, step=step)

    def close(self) -> None:
        """See ``Tracker``."""
        self._run.finish()


class _Ids:
    """The trackers' names of this run, kept in its folder, so that a resumed run is one run there, too."""

    def __init__(self, path: Path, resumed: bool) -> None:
        self._path = path
        self._known: dict[str, str] = {}
        if resumed:
            try:
                kept = json.loads(path.read_text(encoding="utf-8"))
                self._known = {str(k): str(v) for k, v in kept.items()}
            except (OSError, ValueError, AttributeError):
                pass

    def get(self, tracker: str) -> str | None:
        return self._known.get(tracker)

    def put(self, tracker: str, value: str) -> None:
        self._known[tracker] = value
        write_atomic(self._path, json.dumps(self._known, indent=2) + "\n")


def _mlflow() -> Any:
    import mlflow

    return mlflow


def _wandb() -> Any:
    import wandb

    return wandb


def _trackio() -> Any:
    import trackio

    return trackio


_FOREIGN: dict[str, tuple[Callable[[], Any], Callable[[Any, str, Config, _Ids], Tracker]]] = {
    "mlflow": (_mlflow, MLflow),
    "wandb": (_wandb, WandB),
    "trackio": (_trackio, Trackio),
}
"""How each is imported and opened."""


def check(names: Sequence[str]) -> None:
    """Raises RunError for a tracker that is not installed, with the line that installs it."""
    for name in names:
        if name in _FOREIGN:
            try:
                _FOREIGN[name][0]()
            except ImportError as error:
                raise RunError(
                    f"run.trackers: {name} is not installed ({error}): pip install 'bnn-train[{name}]', or"
                    " leave it out"
                ) from None


def opened(
    names: Sequence[str], folder: Path, config: Mapping[str, Any], resume_step: int | None
) -> dict[str, Callable[[], Tracker]]:
    """The openers of a run's trackers, by name. ``config``: nested, as the run stores it."""
    ids, flat = _Ids(folder / IDS, resume_step is not None), _flat(config)
    found: dict[str, Callable[[], Tracker]] = {}
    for name in names:
        if name == "csv":
            found[name] = lambda: Table(folder, resume_step)
        elif name in _FOREIGN:
            imported, made = _FOREIGN[name]
            found[name] = lambda i=imported, m=made: m(i(), folder.name, flat, ids)  # type: ignore[misc]
    return found


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Leaves by dotted key; lists as they are written."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= _flat(value, f"{name}.")
        elif value is not None:
            found[name] = value if isinstance(value, bool | int | float | str) else json.dumps(value)[:500]
    return found
