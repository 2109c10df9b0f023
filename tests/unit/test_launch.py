"""Commands that a launcher starts several times: one training, or one refusal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from bnn_train import api
from bnn_train.cli import eval as evaluation
from bnn_train.cli import sweep, train
from bnn_train.cli.common import guarded
from bnn_train.errors import LostError, RunError
from bnn_train.launch import launched

Main = Callable[[Sequence[str]], int]
REFUSAL = "error: only a training runs in several processes; start this without torchrun\n"


@pytest.fixture(params=[0, 1, 2])
def rank(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("RANK", str(request.param))
    assert launched()
    return int(request.param)


@pytest.mark.parametrize(
    ("main", "words"),
    [
        (train.main, ["--config", "quickstart", "--dry-run"]),
        (train.main, ["--config", "quickstart", "--check"]),
        (train.main, ["--config", "quickstart", "--profile", "1"]),
        (train.main, ["--list"]),
        (evaluation.main, ["--checkpoint", "run"]),
        (sweep.main, ["grid.yaml"]),
    ],
)
def test_what_is_no_training_is_refused_once(
    main: Main, words: list[str], rank: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert capsys.readouterr() == ("", "" if rank else REFUSAL)


def test_wrong_words_are_told_once(rank: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        train.main(["--confg", "quickstart"])
    assert bool(capsys.readouterr().err) == (rank == 0)


def test_that_another_is_lost_is_told_by_the_second_too(
    rank: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first may be the one."""

    def command() -> None:
        raise LostError("gone")

    assert guarded(command, together=True) == 2
    assert capsys.readouterr().err == ("" if rank == 2 else "error: gone\n")


def test_a_script_of_ones_own_is_one_process(rank: int) -> None:
    with pytest.raises(RunError, match="several processes train by"):
        api.train("quickstart")


def test_one_process_was_not_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert not launched()
