"""Schedules against the rates of published recipes and the formulas."""

import math
from collections.abc import Callable

import pytest
from pydantic import TypeAdapter

from bnn_train.config.schema import Schedule
from bnn_train.training.schedules import CURVES, learning_rate

SCHEDULE: TypeAdapter[Schedule] = TypeAdapter(Schedule)


def rates(section: object, *, lr: float, epochs: int, per_epoch: int = 4) -> list[float]:
    schedule = SCHEDULE.validate_python(section)
    return [
        learning_rate(schedule, lr, step=step, steps_per_epoch=per_epoch, epochs=epochs)
        for step in range(epochs * per_epoch)
    ]


def test_constant() -> None:
    assert rates("constant", lr=0.3, epochs=3) == [0.3] * 12


def test_step_at_epochs() -> None:
    got = rates({"name": "step", "at": [15, 25]}, lr=0.01, epochs=50)
    assert got[14 * 4 + 3] == 0.01
    assert got[15 * 4] == pytest.approx(1e-3)
    assert got[25 * 4] == pytest.approx(1e-4)
    assert got[-1] == pytest.approx(1e-4)


def test_step_every() -> None:
    got = rates({"name": "step", "every": 15, "factor": 0.5}, lr=0.03, epochs=31)
    assert [got[0], got[59], got[60], got[120]] == pytest.approx([0.03, 0.03, 0.015, 0.0075])


def test_table_is_absolute() -> None:
    table = {"name": "table", "rates": {0: 1e-2, 2: 5e-3, 3: 1e-3}}
    assert rates(table, lr=9.0, epochs=4, per_epoch=1) == [1e-2, 1e-2, 5e-3, 1e-3]


# the per-epoch factors that the authors' recipes come to
@pytest.mark.parametrize(
    ("lr", "end", "epochs", "factor"),
    [
        (3e-3, 2e-6, 500, 0.98548),
        (3e-3, 3e-7, 1000, 0.990832),
        (1e-3, 3e-7, 500, 0.983907),
        (1e-3, 1e-6, 200, 0.966051),
    ],
)
def test_exponential(lr: float, end: float, epochs: int, factor: float) -> None:
    got = rates({"name": "exponential", "end": end}, lr=lr, epochs=epochs, per_epoch=1)
    assert got[1] / got[0] == pytest.approx(factor, abs=5e-6)
    assert got[-1] * factor == pytest.approx(end, rel=1e-4)


@pytest.mark.parametrize("per", ["epoch", "step"])
def test_curves_over_the_run(per: str) -> None:
    formulas: dict[str, tuple[dict[str, float], Callable[[float], float]]] = {
        "cosine": ({"end": 0.1}, lambda t: 0.1 + 0.9 * (1 + math.cos(math.pi * t)) / 2),
        "linear": ({"end": 0.1}, lambda t: 1 - 0.9 * t),
        "poly": ({"power": 4.0}, lambda t: (1 - t) ** 4),
    }
    for name, (options, formula) in formulas.items():
        got = rates({"name": name, "per": per, **options}, lr=1.0, epochs=5)
        expected = [formula((s // 4 * 4 if per == "epoch" else s) / 20) for s in range(20)]
        assert got == pytest.approx(expected), name


def test_warmup_rises_linearly_into_the_schedule() -> None:
    got = rates({"name": "constant", "warmup": 2.0}, lr=0.8, epochs=4)
    assert got == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8] + [0.8] * 8)


def test_every_schedule_of_the_config_has_a_curve() -> None:
    tags = {"constant", "step", "table", "exponential", "cosine", "linear", "poly"}
    assert CURVES.keys() == tags


@pytest.mark.parametrize("name", ["cosine", "linear", "poly", "exponential"])
def test_a_curve_over_other_epochs_than_the_run(name: str) -> None:
    """Over fewer it stays where it ends; over more it is cut off. Over as many it is the run's own."""
    section = {"name": name} | ({"end": 1e-3} if name == "exponential" else {})
    own = rates(section, lr=0.1, epochs=4, per_epoch=1)
    assert rates({**section, "over": 4}, lr=0.1, epochs=4, per_epoch=1) == own
    assert rates({**section, "over": 4}, lr=0.1, epochs=3, per_epoch=1) == own[:3]
    longer = rates({**section, "over": 4}, lr=0.1, epochs=7, per_epoch=1)
    assert longer[:4] == own
    end = 1e-3 if name == "exponential" else 0.0
    assert longer[4:] == pytest.approx([end] * 3, abs=1e-12)
