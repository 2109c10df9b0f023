"""Pairs of methods and networks for tests that could try them all: every method and every network, but only a
few of each with all of the other in the default run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from bnn_train.spec.methods import METHODS

NETWORKS = ("mlp", "convnet", "resnet20")
"""Those that every method is tried on."""
ROWS = ("fp", "bnn", "xnor", "dorefa")
"""Those that every network is tried with."""


def pairs(networks: Iterable[Any], name_of: Any = str, *, seldom: Sequence[str] = ()) -> list[Any]:
    """(method, network) for each; slow outside the selection. ``seldom``: networks that are slow always."""
    found = []
    for network in networks:
        name = name_of(network)
        for method in sorted(METHODS):
            quick = (name in NETWORKS or method in ROWS) and name not in seldom
            marks = [] if quick else [pytest.mark.slow]
            found.append(pytest.param(method, network, marks=marks, id=f"{method}-{name}"))
    return found
