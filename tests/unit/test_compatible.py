"""Whether a run may go on: the keys that may differ, and how far the run has come."""

from __future__ import annotations

from pathlib import Path

import pytest

from bnn_train.config.schema import Experiment, Run
from bnn_train.errors import RunError
from bnn_train.training.compatible import FREE_KEYS, check_length, continued
from bnn_train.training.progress import Progress
from tiny import tiny


def lasting(epochs: int) -> Experiment:
    return tiny(Path("run"), training={"epochs": epochs})


@pytest.mark.parametrize(
    ("step", "finished", "epochs"),
    [(0, 0, 1), (10, 2, 2), (10, 2, 9), (10, 1, 2), (7, 1, 2), (5, 1, 1), (5, 0, 1)],
)
def test_positions_to_go_on_from(step: int, finished: int, epochs: int) -> None:
    check_length(lasting(epochs), Progress(step=step, epochs_finished=finished), steps_per_epoch=5)


@pytest.mark.parametrize(
    ("step", "finished", "epochs", "reached"),
    [(10, 2, 1, 2), (6, 1, 1, 2), (11, 2, 2, 3), (500, 100, 2, 100)],
)
def test_fewer_epochs_than_are_begun(step: int, finished: int, epochs: int, reached: int) -> None:
    """Steps of an epoch that has begun would be thrown away without a word."""
    with pytest.raises(RunError, match=rf"is in epoch {reached} already; set it to {reached} or more"):
        check_length(lasting(epochs), Progress(step=step, epochs_finished=finished), steps_per_epoch=5)


@pytest.mark.parametrize(("step", "finished"), [(4, 1), (11, 1), (0, 1), (10**18, 2)])
def test_positions_that_are_none(step: int, finished: int) -> None:
    """An epoch of another length, or a state that no run wrote: the loop would never come to its end."""
    with pytest.raises(RunError, match="an epoch of these images has 5 steps"):
        check_length(lasting(10**9), Progress(step=step, epochs_finished=finished), steps_per_epoch=5)


def test_the_keys_of_the_run_section_are_free_one_by_one() -> None:
    """So that a new one is judged: would it change the steps already done?"""
    assert "run" not in FREE_KEYS
    known = {key for key in FREE_KEYS if key.startswith("run.")}
    assert known == {
        "run.dir",
        "run.device",
        "run.threads",
        "run.tensorboard",
        "run.trackers",
        "run.overwrite",
    }
    assert {key.removeprefix("run.") for key in known} <= Run.model_fields.keys()


def test_what_is_not_free_is_refused() -> None:
    with pytest.raises(RunError, match=r"data\.batch_size: 16 → 8; seed: 3 → 4"):
        continued(tiny(Path("run")), tiny(Path("run"), seed=4, data={"batch_size": 8}))
    free = tiny(Path("other"), run={"threads": 2, "overwrite": True}, training={"log_every": 7, "epochs": 5})
    assert continued(tiny(Path("run")), free) == free
