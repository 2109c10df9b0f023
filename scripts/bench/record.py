"""The records of a benchmark: tables on the screen and one JSON file."""

from __future__ import annotations

import datetime
import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.table import Row, table
from bench.timing import Sample
from bnn_train.config.local import shown_words
from bnn_train.report.versions import git_revision, machine, versions

PEERS = ("onnxruntime", "onnx", "openvino", "bnn-lab")


@dataclass
class Record:
    """Sections in the order in which they were measured."""

    sections: list[dict[str, Any]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Engines whose results were not the truth."""

    def add(
        self,
        title: str,
        rows: Sequence[Row],
        *,
        left: Sequence[str] = (),
        notes: Sequence[str] = (),
        samples: Mapping[str, Mapping[str, Sample]] | None = None,
    ) -> None:
        """Print a table and keep it, with every round of every sample (row → engine → sample)."""
        print(f"\n{title}\n{table(rows, left)}", flush=True)
        for note in notes:
            print(note, flush=True)
        rounds = {
            row: {name: [float(f"{t:.4g}") for t in sample.rounds] for name, sample in engines.items()}
            for row, engines in (samples or {}).items()
        }
        section = {"title": title, "rows": [dict(row) for row in rows], "notes": list(notes)}
        self.sections.append(section | ({"seconds": rounds} if rounds else {}))

    def write(self, path: Path) -> None:
        """All sections with machine, versions, date and command."""
        document = {**provenance(), "wrong": self.wrong, "sections": self.sections}
        path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def provenance() -> dict[str, Any]:
    """When, where and with what."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "scripts/bench_packed.py", *shown_words(sys.argv[1:])]),
        "machine": machine() | {"load": [round(x, 2) for x in os.getloadavg()]},
        "versions": versions() | installed(PEERS),
        "revision": git_revision(),
    }


def installed(names: Sequence[str]) -> dict[str, str]:
    """Versions of those distributions that are there."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
