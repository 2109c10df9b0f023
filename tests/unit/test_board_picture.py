"""Names beside the board's curves do not overlap, and stand as near to their curves as they can."""

from __future__ import annotations

import pytest
from scipy.optimize import minimize

from reproduction.board import apart


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([], []),
        ([5.0], [5.0]),
        ([1.0, 5.0, 9.0], [1.0, 5.0, 9.0]),
        ([4.0, 4.0], [3.0, 5.0]),
        ([0.0, 4.0, 4.0, 4.5], [0.0, 13 / 6, 25 / 6, 37 / 6]),
    ],
)
def test_apart(values: list[float], wanted: list[float]) -> None:
    assert apart(values, 2.0) == pytest.approx(wanted)


def test_no_other_places_are_nearer() -> None:
    values = [1.0, 1.2, 1.3, 4.0, 4.1, 9.0, 9.5, 9.6, 9.7, 15.0]
    limits = [{"type": "ineq", "fun": lambda x, i=i: x[i + 1] - x[i] - 1.0} for i in range(len(values) - 1)]
    best = minimize(lambda x: sum((x - values) ** 2), range(len(values)), constraints=limits, tol=1e-12)
    assert apart(values, 1.0) == pytest.approx(list(best.x), abs=1e-4)
