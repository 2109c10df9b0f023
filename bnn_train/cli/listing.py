"""``bnn-train --list``: every name a config may use."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import get_args

from bnn_train.config import schema
from bnn_train.config.plugins import load_plugins
from bnn_train.errors import RunError
from bnn_train.spec.datasets import DATASETS
from bnn_train.spec.methods import METHODS, OUTSIDE
from bnn_train.spec.networks import NETWORKS
from bnn_train.spec.record import Record


def _first_line(text: str | None) -> str:
    return (text or "").strip().splitlines()[0] if text else ""


def _tagged(union: object) -> dict[str, type[Record]]:
    """Name → class of a discriminated union."""
    members = get_args(get_args(union)[0])  # Annotated[A | B | …, …]
    return {get_args(cls.model_fields["name"].annotation)[0]: cls for cls in members}


def _section(title: str, rows: dict[str, str]) -> str:
    width = max(len(name) for name in rows)
    return "\n".join([f"{title}:", *(f"  {name:<{width}}  {text}".rstrip() for name, text in rows.items())])


def listed(words: Sequence[str], configs: Path) -> str:
    """The answer to ``--list`` and the words behind it. Raises RunError for words that name nothing."""
    load_plugins()
    if not words:
        return listing(configs)
    if words[0] != "methods" or len(words) > 2:
        raise RunError(f"--list {' '.join(words)}: takes nothing, `methods`, or `methods NAME`")
    from bnn_train.cli.method_table import method_card, method_table  # torch, which the rest does without

    if len(words) == 1:
        return method_table(configs)
    name = words[1]
    if name not in METHODS:
        near = get_close_matches(name, METHODS, n=1)
        hint = f"did you mean {near[0]}?" if near else "see --list methods"
        raise RunError(f"--list methods {name}: no such method; {hint}")
    return method_card(name, configs)


def listing(configs: Path) -> str:
    """All registries, and the configs found under ``configs``."""
    sections = [
        _section("methods (`--list methods` tells more)", {name: row.paper for name, row in METHODS.items()}),
        _section("outside, with the reason", {f"{one.title} ({one.year})": one.reason for one in OUTSIDE}),
        _section("networks", {name: _first_line(cls.__doc__) for name, cls in NETWORKS.items()}),
        _section("data sets", {name: row.title for name, row in DATASETS.items()}),
    ]
    for title, union in (
        ("optimizers", schema.Optimizer),
        ("optimizers of binary weights (optimizer.binary)", schema.BinaryOptimizer),
        ("schedules", schema.Schedule),
        ("losses", schema.Loss),
        ("normalizations", schema.Normalization),
        ("augmentations", schema.Augmentation),
    ):
        sections.append(
            _section(title, {name: _first_line(cls.__doc__) for name, cls in _tagged(union).items()})
        )
    found = sorted(path.relative_to(configs).as_posix() for path in configs.rglob("*.yaml"))
    if found:
        title = f"configs ({len(found)}; --config takes these names, --copy-config copies one):"
        sections.append("\n".join([title, *(f"  {name}" for name in found)]))
    return "\n\n".join(sections)
