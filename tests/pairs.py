"""Selections for tests that could try everything: what the default run tries, and the slow one alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import pytest

from bnn_train.spec.methods import METHODS

NETWORKS = ("mlp", "resnet20")
"""Those that every method is tried on."""
ROWS = ("bnn", "dorefa")
"""Those that every network is tried with."""

DEEPER = [
    "resnet34",
    "resnete34",
    "meliusnet29",
    "meliusnet42",
    "meliusnet59",
    "binarydensenet37",
    "binarydensenet45",
]
"""Networks whose blocks stand in a smaller one, too."""


def some(names: Iterable[str], chosen: Collection[str]) -> list[Any]:
    """All of the names; those not ``chosen`` are slow."""
    found = list(names)
    assert set(chosen) <= set(found), set(chosen) - set(found)
    return [pytest.param(name, marks=[pytest.mark.slow] * (name not in chosen), id=name) for name in found]


def pairs(networks: Iterable[Any], name_of: Any = str, *, seldom: Sequence[str] = ()) -> list[Any]:
    """(method, network) for each: every method and every network, but only a few of each with all of the
    other in the default run. ``seldom``: networks that are slow always."""
    found = []
    for network in networks:
        name = name_of(network)
        for method in sorted(METHODS):
            quick = (name in NETWORKS or method in ROWS) and name not in seldom
            marks = [] if quick else [pytest.mark.slow]
            found.append(pytest.param(method, network, marks=marks, id=f"{method}-{name}"))
    return found
