"""Numbers that move during a run, at the places where papers tell them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bnn_train.spec.annealed import END, Curve, Position, number_at


def value(keys: dict[str, Any], epoch: float, epochs: int = 100) -> float:
    return number_at(Curve.model_validate(keys), Position(epoch=epoch, epochs=epochs))


@pytest.mark.parametrize(
    ("curve", "quarters"),
    [
        ("exponential", [1, 5.6234, 31.623, 177.83, 1000]),  # ν of Self-Binarizing Networks, arXiv 1902.00730
        ("linear", [1, 250.75, 500.5, 750.25, 1000]),
        ("cosine", [1000 - 999 * (1 + np.cos(np.pi * t)) / 2 for t in (0, 0.25, 0.5, 0.75, 1)]),
    ],
)
def test_curves(curve: str, quarters: list[float]) -> None:
    found = [value({"from": 1.0, "to": 1000.0, "curve": curve}, epoch) for epoch in (0, 25, 50, 75, 100)]
    np.testing.assert_allclose(found, quarters, rtol=1e-4)


@pytest.mark.parametrize(("per", "expected"), [("epoch", [0.3, 0.3, 0.4]), ("step", [0.3, 0.375, 0.4])])
def test_a_number_moves_by_epochs_unless_by_steps(per: str, expected: list[float]) -> None:
    found = [value({"from": 0.0, "to": 1.0, "per": per}, epoch, epochs=10) for epoch in (3, 3.75, 4)]
    np.testing.assert_allclose(found, expected)


def test_a_shorter_curve_ends_and_stays() -> None:
    keys: dict[str, Any] = {"from": 2.0, "to": 1.0, "over": 4}
    assert [value(keys, epoch) for epoch in (0, 2, 4, 50, 100)] == [2.0, 1.5, 1.0, 1.0, 1.0]
    assert number_at(Curve.model_validate(keys), END) == 1.0


def test_a_plain_number_stands_still() -> None:
    assert [number_at(0.7, Position(epoch=epoch)) for epoch in (0.0, 0.5, 1.0)] == [0.7] * 3
