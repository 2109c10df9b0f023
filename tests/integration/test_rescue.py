"""Runs that an error ends between two steps lose no step: the files on the disk lead to the same run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bnn_train.cli.train import main as train
from bnn_train.data.bundle import DataBundle
from bnn_train.data.sources import TensorSource
from bnn_train.errors import DataError, NonFiniteError, RunError
from bnn_train.report.metrics import MetricsLog
from bnn_train.training import step as step_module
from bnn_train.training.checkpoint import LAST, read
from bnn_train.training.optimizers.shift_adamax import ShiftAdaMax
from bnn_train.training.records import Recorder
from bnn_train.training.run import resume, start
from same_run import assert_same_run
from tiny import tiny
from tiny_yaml import errors, write_config

STEPS = 10  # two epochs of five


def saved_step(run: Path) -> int:
    return int(read(run / "checkpoints" / LAST).state["progress"]["step"])


class Failing:
    """Fails once, at call number ``at``."""

    def __init__(self, at: int, error: Exception) -> None:
        self.left, self.error = at, error

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise self.error


def failing_batches(fail: Failing, patch: pytest.MonkeyPatch) -> None:
    """On handing out a training batch."""
    batches = DataBundle.train_batches

    def broken(
        self: DataBundle, epoch: int, skip: int = 0, *, mix: bool = False
    ) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in batches(self, epoch, skip, mix=mix):
            fail()
            yield batch

    patch.setattr(DataBundle, "train_batches", broken)


def failing_forward(fail: Failing, patch: pytest.MonkeyPatch) -> None:
    """Behind the last layer of a training pass: every norm has counted the batch."""
    backward = step_module._backward

    def broken(*args: Any) -> Any:
        seen = backward(*args)
        fail()
        return seen

    patch.setattr(step_module, "_backward", broken)


def failing_lines(fail: Failing, patch: pytest.MonkeyPatch) -> None:
    """Behind a line of metrics."""
    write = MetricsLog.write

    def broken(self: MetricsLog, event: str, *args: Any, **values: Any) -> None:
        write(self, event, *args, **values)
        if event == "step":
            fail()

    patch.setattr(MetricsLog, "write", broken)


def failing_evaluation(fail: Failing, patch: pytest.MonkeyPatch) -> None:
    """On reading a validation image: the epoch's steps are done."""
    batches = TensorSource.batches

    def broken(self: TensorSource, order: Any, epoch: int | None, size: int, spares: Any = None) -> Any:
        if epoch is None and not torch.is_grad_enabled():  # not the images kept for exports
            fail()
        return batches(self, order, epoch, size, spares)

    patch.setattr(TensorSource, "batches", broken)


ERRORS = {
    "data": lambda: DataError("x.png: cut short; remove it"),
    "network disk": lambda: OSError(5, "Input/output error", "x.png"),
    "disk full": lambda: OSError(28, "No space left on device"),
    "memory": lambda: MemoryError(),
    "torch": lambda: RuntimeError("CUDA out of memory"),
    "bug": lambda: TypeError("unsupported"),
}


def broken_off(
    folder: Path, place: Callable[..., None], at: int, error: Exception, **changes: Any
) -> Exception:
    with pytest.MonkeyPatch.context() as patch:
        place(Failing(at, error), patch)
        with pytest.raises(type(error)) as caught:
            start(tiny(folder, **changes))
    return caught.value


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nothing interrupts; a method whose norms keep statistics."""
    folder = tmp_path_factory.mktemp("straight") / "run"
    start(tiny(folder))
    return folder


@pytest.mark.parametrize("place", [failing_batches, failing_forward, failing_lines, failing_evaluation])
@pytest.mark.parametrize("name", ERRORS)
def test_an_error_saves_what_is_trained(
    name: str, place: Callable[..., None], straight: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    at = 1 if place is failing_evaluation else 4 if place is failing_lines else 9
    error = broken_off(run, place, at, ERRORS[name]())
    step = {failing_batches: 8, failing_forward: 8, failing_lines: 8, failing_evaluation: 5}[place]
    told = f"saved after step {step}, go on with --resume"
    assert told in (str(error) if isinstance(error, DataError) else capsys.readouterr().err)
    assert saved_step(run) == step
    resume(run, None)
    assert_same_run(straight, run)


@pytest.mark.parametrize("at", range(1, STEPS + 1))
def test_a_damaged_image_at_any_batch(at: int, straight: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    error = broken_off(run, failing_batches, at, DataError("x.png: cut short"))
    if at == 1:  # nothing is trained that could be lost
        assert str(error) == "x.png: cut short"
        return
    assert str(error) == f"x.png: cut short; saved after step {at - 1}, go on with --resume"
    resume(run, None)
    assert_same_run(straight, run)


@pytest.mark.parametrize(
    "changes",
    [
        {"training": {"accumulate": 2}},
        {"training": {"ema": 0.9}},
        {"method": "bc_stochastic"},
        {"method": "bnn_stochastic", "model": {"dropout": 0.5}},
    ],
    ids=str,
)
def test_with_every_kind_of_state(changes: dict[str, Any], tmp_path: Path) -> None:
    start(tiny(tmp_path / "straight", **changes))
    broken_off(tmp_path / "broken", failing_batches, 8, DataError("x"), **changes)
    resume(tmp_path / "broken", None)
    assert_same_run(tmp_path / "straight", tmp_path / "broken")


def test_the_command_tells_both_in_one_sentence(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing_batches(Failing(3, DataError("x.png: cut short")), monkeypatch)
    write_config(workdir)
    said = errors(train, ["--config", "t.yaml", "--set", "run.dir=run"], capsys)
    assert said == ["x.png: cut short; saved after step 2, go on with --resume"]


def test_a_disk_that_refuses_the_rescue_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing_batches(Failing(3, DataError("x.png: cut short")), monkeypatch)

    def full(*_: Any, **__: Any) -> None:
        raise RunError("no space")

    monkeypatch.setattr(Recorder, "save", full)
    with pytest.raises(
        DataError, match=r"x.png: cut short; what followed step 0 could not be saved \(no space"
    ):
        start(tiny(tmp_path / "run"))


def test_a_step_that_broke_off_among_the_weights_is_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some weights have moved, others not; the last checkpoint is whole."""
    real, fail = ShiftAdaMax._step, Failing(30, MemoryError())

    def broken(self: ShiftAdaMax, *args: Any) -> None:
        fail()
        real(self, *args)

    changes = {"optimizer": {"name": "shift_adamax"}, "training": {"checkpoint_every": 2}}
    start(tiny(tmp_path / "straight", **changes))
    monkeypatch.setattr(ShiftAdaMax, "_step", broken)
    with pytest.raises(MemoryError):
        start(tiny(tmp_path / "run", **changes))
    resume(tmp_path / "run", None)
    assert_same_run(tmp_path / "straight", tmp_path / "run")


def test_a_network_that_diverged_is_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss is looked at when a line is written; an error before that must not save what it hides."""
    failing_batches(Failing(5, DataError("x")), monkeypatch)

    class Overflowing:
        def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
            return logits.sum() * float("inf")

    monkeypatch.setattr("bnn_train.training.setup.criterion", lambda loss: Overflowing())
    with pytest.raises(
        DataError, match=r"could not be saved .*the training loss is no longer finite at step 1"
    ):
        start(tiny(tmp_path / "run", training={"log_every": 100}))
    assert not (tmp_path / "run" / "checkpoints" / LAST).exists()


def test_a_loss_that_is_lost_is_found_at_the_next_line_with_its_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = nn.functional.cross_entropy
    calls: list[int] = []

    def overflowing(logits: Tensor, labels: Tensor) -> Tensor:
        calls.append(1)
        return real(logits, labels) * (float("nan") if len(calls) == 3 else 1.0)

    monkeypatch.setattr("bnn_train.training.setup.criterion", lambda loss: overflowing)
    with pytest.raises(NonFiniteError, match=r"the training loss is no longer finite at step 3 \(epoch 1"):
        start(tiny(tmp_path / "run", training={"log_every": 5}))


class Clock:
    """Each look at it is ``seconds`` later."""

    def __init__(self, seconds: float) -> None:
        self.now, self.seconds = 0.0, seconds

    def __call__(self) -> float:
        self.now += self.seconds
        return self.now


@pytest.mark.parametrize(("minutes", "saves"), [(10.0, 8), (25.0, 2), (0.0, 0)])
def test_checkpoints_by_the_clock_change_nothing(
    minutes: float, saves: int, straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight steps do not end an epoch; eleven minutes pass at every look."""
    saved: list[int] = []
    real = Recorder.save

    def counted(self: Recorder, progress: Any, **options: Any) -> None:
        if not options:
            saved.append(progress.step)
        real(self, progress, **options)

    monkeypatch.setattr(Recorder, "save", counted)
    monkeypatch.setattr(time, "monotonic", Clock(660.0))
    start(tiny(tmp_path / "run", training={"checkpoint_minutes": minutes}))
    monkeypatch.undo()
    assert len(saved) == saves
    changed = tiny(tmp_path / "run", training={"checkpoint_minutes": 3.0, "epochs": 2})
    resume(tmp_path / "run", changed)  # a free key
    assert_same_run(straight, tmp_path / "run")
