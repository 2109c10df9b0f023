"""The real-valued twin comes first: what it does not reach, the binary network will not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bnn_train.binary.spec import Method
from bnn_train.check.line import Line, Verdict
from bnn_train.check.subject import Subject
from bnn_train.config.loader import load
from bnn_train.config.schema import Experiment
from bnn_train.config.yaml_reader import read_yaml
from bnn_train.errors import ConfigError

NEAR = 1.0
"""Points of top-1 that a repetition may miss the published number by."""


def twin(s: Subject) -> Iterator[Line]:
    """Names the twin's config and what a run of it has reached, or how to run it."""
    if _real(s.experiment.method):
        return
    path = _config(s.config, s.experiment)
    experiment = None if path is None else load(path)
    report = _report(s.experiment, experiment)
    if report is None:
        yield _missing(s, path, experiment)
    else:
        yield _reached(report, _named(path, experiment, s.experiment), experiment)


def _real(method: Method) -> bool:
    return method.weight.quantizer == "none" and method.activation.quantizer == "none"


def _is_twin(other: Experiment, own: Experiment) -> bool:
    same = (other.model.name, other.data.name) == (own.model.name, own.data.name)
    return _real(other.method) and same


def _config(path: Path | None, own: Experiment) -> Path | None:
    """The nearest config that ``path`` extends, or else one beside it, that is a twin."""
    if path is None:
        return None
    for candidate in [*_chain(path), *sorted(path.parent.glob("*.yaml"))]:
        try:
            if _is_twin(load(candidate), own):
                return candidate
        except (ConfigError, OSError):
            continue  # not a config of its own
    return None


def _chain(path: Path) -> Iterator[Path]:
    data: Any = read_yaml(path, str(path)).data
    names = data.get("extends", []) if isinstance(data, dict) else []
    for name in [names] if isinstance(names, str) else names:
        parent = path.parent / name
        yield parent
        yield from _chain(parent)


def _report(own: Experiment, other: Experiment | None) -> dict[str, Any] | None:
    """Of the twin's own folder, or of any run of a twin in the folder of runs."""
    folder = Path(own.run.dir or "runs/unnamed")
    root = Path("runs") if folder.parts[:1] == ("runs",) else folder.parent
    paths = [] if other is None else [Path(other.run.dir or "") / "report.json"]
    for path in [*paths, *sorted(root.glob("**/report.json"))]:
        try:
            report = json.loads(path.read_text(encoding="utf-8"))
            config = report["config"]
            matches = (config["model"]["name"], config["data"]["name"]) == (own.model.name, own.data.name)
            if matches and _real(Method.model_validate(config["method"])):
                return {"top1": float(report["top1"]), "epochs": int(report["epochs"]), "path": str(path)}
        except (OSError, ValueError, LookupError, TypeError):
            continue  # no report, or not one of ours
    return None


def _named(path: Path | None, other: Experiment | None, own: Experiment) -> str:
    """The twin's config, and whether it is of another size: then it bounds the network only roughly."""
    if path is None or other is None:
        return "no config of it"
    return f"{path}" if other.model == own.model else f"{path} (same network, other options)"


def _missing(s: Subject, path: Path | None, other: Experiment | None) -> Line:
    command = f"bnn-train --config {path}" if path else _without_config(s)
    return Line(
        name="real-valued twin",
        verdict="look",
        measured=f"{_named(path, other, s.experiment)}; no report of a run",
        healthy=_published(other),
        source="a binary network is judged by its distance from its twin",
        advice=f"Train it first, {command}: if it falls short too, the fault is not in the binarization.",
    )


def _without_config(s: Subject) -> str:
    source = s.config or Path(s.experiment.run.dir or "runs/unnamed") / "config.yaml"
    return f"bnn-train --config {source} --set method=fp --set run.dir=runs/twin"


def _published(other: Experiment | None) -> str:
    if other is None or other.reference.top1 is None:
        return "a report of it"
    return f"a report of it near {other.reference.top1:g} %"


def _reached(report: dict[str, Any], config: str, other: Experiment | None) -> Line:
    published = None if other is None else other.reference.top1
    far = published is not None and report["top1"] < published - NEAR
    verdict: Verdict = "look" if far else "ok"
    return Line(
        name="real-valued twin",
        verdict=verdict,
        measured=f"{config}; reached {report['top1']:.2f} % in {report['epochs']} epochs ({report['path']})",
        healthy=_published(other),
        source="reference.top1 of its config" if published is not None else "no published number",
        advice="The twin itself falls short of its published number: give it its epochs, and look there"
        " first.",
    )
