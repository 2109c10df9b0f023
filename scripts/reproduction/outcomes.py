"""Results of the finished runs of a row, and with what they were made, as their folders tell it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from bnn_train.config.loader import from_mapping
from bnn_train.errors import BnnError
from reproduction.plans import Plan, digest


class Outcome(BaseModel):
    """The parts of report.json that a table reads."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    config: dict[str, Any]
    top1: float
    wall_time_s: float
    selection: str
    total: int
    """Test images."""
    classes: tuple[str, ...]
    versions: dict[str, str]
    history: tuple[dict[str, Any], ...]
    machine: dict[str, Any] = {}
    """From manifest.json, as what follows."""
    commit: str = ""
    date: str = ""
    """Of the run's last start, YYYY-MM-DD."""


def outcome_of(path: Path, expected: str) -> Outcome | None:
    """The result of the run in a folder; None if there is none, or none of the config with that digest."""
    try:
        outcome = Outcome.model_validate_json((path / "report.json").read_bytes())
        if digest(from_mapping(outcome.config)) != expected:
            return None
    except (OSError, ValidationError, BnnError):
        return None
    return outcome.model_copy(update=_made(path))


def _made(path: Path) -> dict[str, Any]:
    """Machine, revision and date; without those that the manifest does not tell."""
    try:
        manifest = json.loads((path / "manifest.json").read_bytes())
        git = manifest["git"] or {"commit": "", "dirty": False}
        return {
            "machine": dict(manifest["machine"]),
            "commit": git["commit"][:10] + ("+changes" if git["dirty"] else ""),
            "date": str(manifest["starts"][-1]["time"])[:10],
        }
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return {}


def outcomes(plan: Plan) -> dict[int, Outcome]:
    """By seed: everything that is finished in the row's folder, not only what this call ran."""
    return dict(sorted(_found(plan)))


def _found(plan: Plan) -> Iterator[tuple[int, Outcome]]:
    for path in plan.folder.glob("seed*"):
        number = path.name.removeprefix("seed")
        if number.isdecimal() and (one := outcome_of(path, digest(plan.experiment(int(number))))) is not None:
            yield int(number), one
