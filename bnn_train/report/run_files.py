"""The files of a run as a report reads them: config, metrics and results. No torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bnn_train.config.yaml_reader import read_yaml
from bnn_train.errors import RunError
from bnn_train.report.metrics import METRICS, read_metrics

CONFIG, REPORT = "config.yaml", "report.json"
NEEDED = {"title", "top1", "top1_interval", "correct", "total", "classes", "confusion", "layers", "config"}
"""Keys without which a report.json is none."""
Entry = dict[str, Any]
Points = list[tuple[float, float]]
"""Epoch and value."""


@dataclass(frozen=True)
class RunFiles:
    """A run folder. ``report`` is None before the run has ended."""

    path: Path
    name: str
    """Short, and different from those of the runs beside it."""
    config: dict[str, Any]
    entries: list[Entry]
    report: dict[str, Any] | None

    @cached_property
    def epochs(self) -> list[Entry]:
        """The lines of finished epochs."""
        return [entry for entry in self.entries if entry.get("event") == "epoch"]

    @cached_property
    def latents(self) -> list[Entry]:
        """The lines with histograms of latent weights."""
        return [entry for entry in self.entries if entry.get("event") == "latents"]

    @property
    def title(self) -> str:
        """Method, network and data set."""
        names = [self._name(key) for key in ("method", "model", "data")]
        return f"{names[0]} {names[1]} on {names[2]}"

    def _name(self, section: str) -> str:
        value = self.config.get(section, "?")
        return str(value.get("name", "?") if isinstance(value, dict) else value)

    def curve(self, key: str) -> Points:
        """A number of each epoch that has it."""
        return [(e["epoch"], e[key]) for e in self.epochs if isinstance(e.get(key), int | float)]

    @property
    def scored(self) -> Points:
        """Top-1 in percent on the split that chooses the epoch, else on the training images."""
        curves = (self.curve(f"{split}_top1") for split in ("validation", "test", "train"))
        return next((points for points in curves if points), [])

    def layer_curves(self, statistic: str) -> dict[str, Points]:
        """A statistic of each layer over the epochs, in the network's order."""
        curves: dict[str, Points] = {}
        for entry in self.epochs:
            for layer, numbers in (entry.get("layers") or {}).items():
                if isinstance(numbers.get(statistic), int | float):
                    curves.setdefault(layer, []).append((entry["epoch"], numbers[statistic]))
        return curves


def read_runs(paths: Sequence[Path]) -> list[RunFiles]:
    """Raises RunError for a folder that is no run, or one that is named twice."""
    places = [path.resolve() for path in paths]
    twice = next((path for i, path in enumerate(paths) if places[i] in places[:i]), None)
    if twice is not None:
        raise RunError(f"{twice}: named twice; name each run once")
    return [_read(path, name) for path, name in zip(paths, _names(places), strict=True)]


def _names(places: Sequence[Path]) -> list[str]:
    """The ends of the paths, as long as they must be to differ."""
    for depth in range(1, max((len(place.parts) for place in places), default=1) + 1):
        names = ["/".join(place.parts[-depth:]) for place in places]
        if len(set(names)) == len(names):
            return names
    return [str(place) for place in places]


def _read(path: Path, name: str) -> RunFiles:
    if not path.exists():
        raise RunError(f"{path}: no such run")
    if not (path / METRICS).is_file() and not (path / REPORT).is_file():
        raise RunError(f"{path}: no run folder: it holds neither {METRICS} nor {REPORT}; name one of runs/")
    report = _report(path / REPORT)
    entries = read_metrics(path / METRICS) if (path / METRICS).is_file() else list(_history(report))
    config = read_yaml(path / CONFIG, str(path / CONFIG)).data if (path / CONFIG).is_file() else {}
    if not isinstance(config, dict) or not config:
        config = report["config"] if report else {}
    return RunFiles(path, name, config, entries, report)


def _report(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path}: cannot be read ({error}); bnn-train --resume writes it anew") from None
    if not isinstance(report, dict) or not report.keys() >= NEEDED:
        raise RunError(f"{path}: is no report of a run; bnn-train --resume writes it anew")
    return report


def _history(report: dict[str, Any] | None) -> Iterator[Entry]:
    """The epochs as a report keeps them, where the metrics are gone."""
    for entry in (report or {}).get("history", []):
        yield {"event": "epoch", "step": 0, **entry}
