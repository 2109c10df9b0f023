"""The real-valued twin comes first: what it does not reach, the binary network will not."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bnn_train.check.line import Line
from bnn_train.check.subject import Subject
from bnn_train.config.loader import from_mapping, load
from bnn_train.config.schema import Experiment
from bnn_train.config.sources import parent_of
from bnn_train.config.yaml_reader import read_yaml
from bnn_train.errors import ConfigError
from bnn_train.spec.method import Method
from bnn_train.training.folder import run_path

NEAR = 1.0
"""Points of top-1 that a repetition may miss the published number by."""
LUCK = 0.15
"""Of what guessing leaves over, too little to be more than luck; where no number is published."""
LIMITS = ("train_limit", "test_limit", "batches_per_epoch")
"""Keys of ``data`` under which a run sees less; ``data.root`` and the like may differ between twins."""


@dataclass(frozen=True, kw_only=True)
class _Run:
    """A finished run of a twin."""

    path: Path
    """Its report."""
    top1: float
    epochs: int
    experiment: Experiment


def twin(s: Subject) -> Iterator[Line]:
    """Names the twin's config and what a run of it has reached, or how to run it."""
    if _real(s.experiment.method):
        return
    path = _config(s.config, s.experiment)
    other = None if path is None else load(path)
    runs = [run for report in _reports(s.experiment, other) if (run := _run(report, s.experiment))]
    if runs:
        yield _reached(s, max(runs, key=lambda run: run.epochs), other)
    else:
        yield _missing(s, path, other)


def _real(method: Method) -> bool:
    return not (method.weight.quantizer.quantizes or method.activation.quantizer.quantizes)


def _is_twin(other: Experiment, own: Experiment) -> bool:
    """A real-valued network by the same name on the same data; ``_changes`` tells how they differ."""
    same = (other.model.name, other.data.name) == (own.model.name, own.data.name)
    return _real(other.method) and same


def _changes(other: Experiment, own: Experiment) -> dict[str, Any]:
    """The keys to set in ``other`` for the network and the amount of data of ``own``, by key. Dropout is
    the twin's own: binarization regularizes, so AlexNet's 0.5 is gone from its binary recipes."""
    network = {
        f"model.{key}": (getattr(other.model, key), value)
        for key, value in own.model
        if not key.startswith("dropout")
    }
    data = {f"data.{key}": (getattr(other.data, key), getattr(own.data, key)) for key in LIMITS}
    return {key: new for key, (old, new) in (network | data).items() if old != new}


# ------------------------------------------------------------------------------------- its config


def _config(path: Path | None, own: Experiment) -> Path | None:
    """The nearest config that ``path`` extends, or else one beside it, that is a twin; rather one that needs
    no changes."""
    if path is None:
        return None
    found: dict[Path, int] = {}
    for candidate in [*_chain(path), *sorted(path.parent.glob("*.yaml"))]:
        try:
            other = load(candidate)
        except (ConfigError, OSError):
            continue  # not a config of its own
        if _is_twin(other, own):
            found.setdefault(candidate, len(_changes(other, own)))
    return min(found, key=lambda candidate: found[candidate], default=None)


def _chain(path: Path) -> Iterator[Path]:
    data: Any = read_yaml(path, str(path)).data
    names = data.get("extends", []) if isinstance(data, dict) else []
    for name in [names] if isinstance(names, str) else names:
        parent = parent_of(path, name)
        yield parent
        yield from _chain(parent)


# ------------------------------------------------------------------------------------ its reports


def _reports(own: Experiment, other: Experiment | None) -> Iterator[Path]:
    """Of the twin's own folder, of the folders beside the run's, and of all under ``runs``."""
    if other is not None:
        yield run_path(other) / "report.json"
    beside = run_path(own).parent
    if len(beside.resolve().parts) > 1:  # not the root of the file system
        yield from sorted(beside.glob("*/report.json"))
    yield from sorted(Path("runs").glob("**/report.json"))


def _run(path: Path, own: Experiment) -> _Run | None:
    """None for anything but the report of a twin of the same size on as much data."""
    try:
        report: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        experiment = from_mapping(report["config"])
        top1, epochs = float(report["top1"]), int(report["epochs"])
    except (OSError, ValueError, LookupError, TypeError, ConfigError):
        return None  # no report, or not one of ours
    if not _is_twin(experiment, own) or _changes(experiment, own):
        return None
    return _Run(path=path, top1=top1, epochs=epochs, experiment=experiment)


# --------------------------------------------------------------------------------- what is said


def _missing(s: Subject, path: Path | None, other: Experiment | None) -> Line:
    changes = {} if other is None else _changes(other, s.experiment)
    return Line(
        name="real-valued twin",
        verdict="look",
        measured=("no config of it" if path is None else str(path))
        + (f" (with another {', '.join(changes)})" if changes else "")
        + "; no report of a run",
        healthy="a report of it" if changes or other is None else _near(other.reference.top1),
        source="a binary network is judged by its distance from its twin",
        advice=f"Train it first, {_command(s, path, changes)}: if it falls short too, the fault is not in the"
        " binarization.",
    )


def _command(s: Subject, path: Path | None, changes: Mapping[str, Any]) -> str:
    source = path or s.config or run_path(s.experiment) / "config.yaml"
    sets = [f"{key}={json.dumps(value)}" for key, value in changes.items()]
    sets += ["method=fp"] if path is None else []
    sets += ["run.dir=runs/twin"] if sets else []
    return f"bnn-train --config {source}" + "".join(f" --set {shlex.quote(text)}" for text in sets)


def _near(published: float | None) -> str:
    return "a report of it" if published is None else f"a report of it near {published:g} %"


def _reached(s: Subject, run: _Run, other: Experiment | None) -> Line:
    published = _published(run.experiment, s.experiment, other)
    guess = 100 / len(s.data.classes)
    least = guess + LUCK * (100 - guess) if published is None else published - NEAR
    epochs = "1 epoch" if run.epochs == 1 else f"{run.epochs} epochs"
    luck = f"≥ {least:.3g} %, guessing scores {guess:.3g} %"
    return Line(
        name="real-valued twin",
        verdict="look" if run.top1 < least else "ok",
        measured=f"reached {run.top1:.2f} % in {epochs} ({run.path})",
        healthy=luck if published is None else _near(published),
        source="no published number" if published is None else "reference.top1 of that run's config",
        advice=f"The twin itself falls short of {least:.4g} %: give it its epochs, and look there first.",
    )


def _published(found: Experiment, own: Experiment, other: Experiment | None) -> float | None:
    """The number that a twin's run repeats: on all of the data, and not the binary network's own, which
    stays in the config under ``--set method=fp``."""
    part = found.data.train_limit is not None or found.data.test_limit is not None
    own_number = found.reference == own.reference and (other is None or found.reference != other.reference)
    return None if part or own_number else found.reference.top1
