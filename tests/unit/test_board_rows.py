"""The rows of the board: every method once, or a reason why not."""

from __future__ import annotations

import json

from bnn_train.config.loader import load
from bnn_train.spec.methods import METHODS
from reproduction.zoo import CONFIGS, NO_BOARD, TWIN, zoo_tables

BOARD, _ = zoo_tables()


def test_every_method_is_there_or_excused() -> None:
    rows = [row.name for row in BOARD.rows if not row.name.startswith(TWIN)]
    assert sorted([*rows, *NO_BOARD]) == sorted(METHODS)


def test_no_training_is_there_twice() -> None:
    """A method that differs from another in its network alone would have the other's number, once more."""
    trainings: dict[str, str] = {}
    for row in BOARD.rows:
        experiment = load(CONFIGS / f"{row.config}.yaml", row.overrides)
        told = experiment.model_dump(mode="json", exclude={"run", "reference"})
        told["method"] |= {"name": "", "paper": ""}
        first = trainings.setdefault(json.dumps(told, sort_keys=True), row.name)
        assert first == row.name, f"{row.name} trains as {first} does"
