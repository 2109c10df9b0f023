"""With what the runs of a table were made: machine, versions, revision, date, as each run itself tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reproduction.outcomes import Outcome


def made(seed: int, outcome: Outcome) -> dict[str, Any]:
    """One run, as results.json has it."""
    return {
        "seed": seed,
        "date": outcome.date,
        "commit": outcome.commit,
        "machine": _machine(outcome.machine, outcome.config),
        "versions": ", ".join(f"{name} {version}" for name, version in outcome.versions.items()),
    }


def _machine(machine: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    if not machine:
        return "machine unknown"
    threads = f"{machine['threads']} thread{'s' if machine['threads'] != 1 else ''}"
    gpus = [] if config.get("run", {}).get("device") == "cpu" else machine.get("gpus", [])
    return ", ".join([*gpus, str(machine["cpu"]), threads])


def setting(result: Mapping[str, Any]) -> str:
    """The sentence above a table; where its runs differ, all values."""
    rows = result["rows"]
    runs = [run for row in rows for run in row["runs"]]
    name = f"`{result['table']}`"
    if not runs:
        return f"{name}, not run."
    minutes = sum(row["seconds"] for row in rows) / 60
    took = f"{minutes / 60:.1f} h" if minutes >= 60 else f"{minutes:.1f} min"
    dates = sorted({run["date"] for run in runs if run["date"]})
    told = [
        "–".join(dict.fromkeys([*dates[:1], *dates[-1:]])),
        _all(run["machine"] for run in runs),
        f"{took} of training",
        f"revision {_all(run['commit'] or 'unknown' for run in runs)}",
    ]
    epoch = _all(selection for row in rows for selection in row["selection"])
    return (
        f"{', '.join([name, *(part for part in told if part)])}; {_all(run['versions'] for run in runs)};"
        f" reported epoch: {epoch}.{_short(result)}"
    )


def _all(values: Iterable[str]) -> str:
    return " / ".join(dict.fromkeys(values))


def _short(result: Mapping[str, Any]) -> str:
    if result["fast"] is None:
        return ""
    epochs = f"{result['fast']} epoch{'s' if result['fast'] != 1 else ''}"
    return f" **Cut to at most {epochs}, schedules moved along.**"
