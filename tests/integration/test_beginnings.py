"""A run that ended before its first checkpoint, or whose checkpoints are damaged or gone: no dead ends."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bnn_train.cli.train import main as train
from bnn_train.errors import CheckpointError, RunError
from bnn_train.training.run import resume, start
from same_run import assert_same_run
from tiny import tiny
from tiny_yaml import errors, files, refused, write_config

Capture = pytest.CaptureFixture[str]
OVERWRITE = ["--config", "t.yaml", "--set", "run.dir=run", "--set", "run.overwrite=true"]


@pytest.fixture
def config(workdir: Path) -> Path:
    """t.yaml in the current directory."""
    return write_config(workdir)


def ended_early(run: Path) -> None:
    """As a kill between the first step and the first checkpoint leaves it."""
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / ".best.safetensors.7.tmp").write_text("half")
    (run / "report.md").unlink()
    (run / "report.json").unlink()


@pytest.fixture
def straight(trained: Path) -> Path:
    """The same run without an end in between."""
    return trained


WAYS = [["--config", "t.yaml"], ["--resume"], ["--config", "t.yaml", "--resume"]]


@pytest.mark.parametrize("way", WAYS, ids=" ".join)
def test_a_run_that_ended_early_begins_again(
    way: list[str], run: Path, straight: Path, config: Path, capsys: Capture
) -> None:
    ended_early(run)
    way = [*way, "run"] if way[-1] == "--resume" else [*way, "--set", "run.dir=run"]
    assert train(way) == 0, capsys.readouterr().err
    assert_same_run(straight, run)
    assert not list(run.rglob("*.tmp"))


def test_it_begins_again_under_the_config_that_is_given(run: Path, config: Path, capsys: Capture) -> None:
    """Nothing has been trained, so nothing binds: neither a changed file nor --set."""
    ended_early(run)
    assert train(["--config", "t.yaml", "--set", "seed=9", "--resume", "run"]) == 0
    assert "the run ended before its first checkpoint, so it begins again" in capsys.readouterr().err
    assert "seed: 9" in (run / "config.yaml").read_text()
    ended_early(run)
    assert train(["--resume", "run", "--set", "training.epochs=1"]) == 0
    assert "epochs: 1" in (run / "config.yaml").read_text()
    assert "seed: 9" in (run / "config.yaml").read_text()


def test_it_begins_again_beside_the_users_files(run: Path, config: Path, capsys: Capture) -> None:
    ended_early(run)
    (run / "notes.txt").write_text("precious")
    assert "(notes.txt)" in refused(["--config", "t.yaml", "--set", "run.dir=run"], capsys)
    assert train(["--resume", "run"]) == 0
    assert (run / "notes.txt").read_text() == "precious"


def test_the_latest_run_may_be_one_that_ended_early(run: Path, config: Path) -> None:
    ended_early(run)
    Path("runs").mkdir()
    run.rename("runs/t")
    Path("runs/of another program/checkpoints").mkdir(parents=True)  # later, but no run
    assert train(["--resume"]) == 0
    assert Path("runs/t/report.md").is_file()


@pytest.mark.parametrize("made", ["", "runs/t", "runs/t/checkpoints"])
def test_one_command_begins_a_run_and_goes_on_with_it(made: str, config: Path, straight: Path) -> None:
    """As a scheduler repeats it, however far the first try came in making the folder."""
    Path(made).mkdir(parents=True, exist_ok=True)
    assert train(["--config", "t.yaml", "--resume"]) == 0
    assert_same_run(straight, Path("runs/t"))
    assert train(["--config", "t.yaml", "--resume"]) == 0


def test_killed_before_its_config_was_written(config: Path, capsys: Capture) -> None:
    Path("run/checkpoints").mkdir(parents=True)
    Path("run/.lock").touch()
    said = refused(["--resume", "run"], capsys)
    assert said == (
        "run: no usable checkpoint, and no config.yaml to begin the run again with; give --config F"
    )
    assert train(["--config", "t.yaml", "--resume", "run"]) == 0


def test_damaged_checkpoints_are_a_loss_and_no_beginning(run: Path, config: Path, capsys: Capture) -> None:
    """Trained weights may yet be put back from a copy; every sentence names a way out."""
    for path in (run / "checkpoints").iterdir():
        content = path.read_bytes()[:-9]
        path.unlink()
        path.write_bytes(content)
    before = files(run)
    [said] = errors(train, ["--resume", "run"], capsys)
    for name in ("last", "previous", "best"):
        assert f"run/checkpoints/{name}.safetensors: damaged" in said
    assert "put back a copy of one, or begin anew by --set run.overwrite=true" in said
    assert "holds an earlier run" in refused(["--config", "t.yaml", "--set", "run.dir=run"], capsys)
    assert files(run) == before
    assert train(OVERWRITE) == 0


def test_a_report_whose_checkpoints_are_gone_is_kept(run: Path, config: Path, capsys: Capture) -> None:
    shutil.rmtree(run / "checkpoints")
    said = refused(["--config", "t.yaml", "--set", "run.dir=run"], capsys)
    assert said.startswith("run: holds an earlier run's report, but no checkpoint of it")
    (run / "checkpoints").mkdir()
    assert "the checkpoints of that run are gone" in refused(["--resume", "run"], capsys)
    assert train(OVERWRITE) == 0


def test_a_disk_that_cannot_be_read_is_no_damage(
    run: Path, config: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Else a moment without the network disk would send the run back to an older checkpoint."""
    opened = Path.open

    def fails(self: Path, *args: object, **kwargs: object) -> object:
        if self.name == "last.safetensors":
            raise OSError(116, "Stale file handle")
        return opened(self, *args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", fails)
    said = errors(train, ["--resume", "run"], capsys)
    assert said == ["run/checkpoints/last.safetensors: cannot be read: Stale file handle"]


def test_nothing_is_begun_by_a_typing_error(config: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no run to resume here"):
        resume(tmp_path / "rnu", tiny(tmp_path / "rnu"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("precious")
    with pytest.raises(RunError, match=r"\(thesis\.txt\)"):
        start(tiny(tmp_path / "full"))
