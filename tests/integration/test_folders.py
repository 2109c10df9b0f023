"""Run folders: nothing of the user's is removed, and all that a run leaves is the run's."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from bnn_train.cli.train import main as train
from bnn_train.training.contents import survey
from bnn_train.training.run import start
from tiny import tiny
from tiny_yaml import errors, refused, write_config

Capture = pytest.CaptureFixture[str]
GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "packed_v1.bnn"
OVERWRITE = ["--config", "t.yaml", "--set", "run.dir=run", "--set", "run.overwrite=true"]


@pytest.fixture
def config(workdir: Path) -> Path:
    """t.yaml in the current directory."""
    return write_config(workdir)


def entries(folder: Path) -> dict[str, tuple[int, int]]:
    """Every entry below a folder, links not followed, with its inode and mode."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_ino, path.lstat().st_mode)
        for path in sorted(folder.rglob("*"))
    }


# ------------------------------------------------------------------------- what is not a run's


def a_file(run: Path) -> str:
    (run / "thesis.txt").write_text("precious")
    return "thesis.txt"


def a_hidden_file(run: Path) -> str:
    (run / ".env").write_text("precious")
    return ".env"


def a_folder(run: Path) -> str:
    (run / "photos").mkdir()
    (run / "photos" / "me.jpg").write_text("precious")
    return "photos/"


def an_empty_folder(run: Path) -> str:
    (run / "plans").mkdir()
    return "plans/"


def a_checkpoint_of_another(run: Path) -> str:
    (run / "checkpoints" / "my_model.pt").write_text("precious")
    return "checkpoints/my_model.pt"


def a_folder_among_the_checkpoints(run: Path) -> str:
    (run / "checkpoints" / "old").mkdir()
    (run / "checkpoints" / "old" / "last.safetensors").write_text("precious")
    return "checkpoints/old/"


def a_note_among_the_events(run: Path) -> str:
    (run / "tensorboard").mkdir(exist_ok=True)
    (run / "tensorboard" / "notes.txt").write_text("precious")
    return "tensorboard/notes.txt"


def the_name_in_other_letters(run: Path) -> str:
    (run / "Report.md").write_text("precious")
    return "Report.md"


def a_folder_with_a_files_name(run: Path) -> str:
    (run / "report.md").unlink()
    (run / "report.md").mkdir()
    return "report.md/"


def a_file_with_a_folders_name(run: Path) -> str:
    shutil.rmtree(run / "tensorboard", ignore_errors=True)
    (run / "tensorboard").write_text("precious")
    return "tensorboard"


def a_link_to_a_file(run: Path) -> str:
    (run / "report.md").unlink()
    (run / "report.md").symlink_to("../t.yaml")
    return "report.md, a link"


def a_link_to_a_folder(run: Path) -> str:
    shutil.move(run / "checkpoints", run.parent / "large_disk")
    (run / "checkpoints").symlink_to("../large_disk")
    return "checkpoints, a link"


def a_link_that_leads_nowhere(run: Path) -> str:
    (run / "more").symlink_to("nowhere")
    return "more, a link"


def a_link_to_itself(run: Path) -> str:
    (run / "metrics.jsonl").unlink()
    (run / "metrics.jsonl").symlink_to("metrics.jsonl")
    return "metrics.jsonl, a link"


def a_pipe(run: Path) -> str:
    (run / "config.yaml").unlink()
    os.mkfifo(run / "config.yaml")
    return "config.yaml, a device or pipe"


def a_protected_checkpoint(run: Path) -> str:
    (run / "checkpoints" / "best.safetensors").chmod(0o444)
    return "checkpoints/best.safetensors, write-protected"


def no_packed_network(run: Path) -> str:
    (run / "mine.bnn").write_text("precious")
    return "mine.bnn"


def another_programs_temporary_file(run: Path) -> str:
    (run / ".draft.odt.7.tmp").write_text("precious")
    return ".draft.odt.7.tmp"


def a_name_with_a_line_break(run: Path) -> str:
    (run / "a\nb").write_text("precious")
    return r"'a\nb'"


FOREIGN = [
    *(a_file, a_hidden_file, a_folder, an_empty_folder, a_checkpoint_of_another),
    *(a_folder_among_the_checkpoints, a_note_among_the_events, the_name_in_other_letters),
    *(a_folder_with_a_files_name, a_file_with_a_folders_name, a_link_to_a_file, a_link_to_a_folder),
    *(a_link_that_leads_nowhere, a_link_to_itself, a_pipe, a_protected_checkpoint, no_packed_network),
    *(another_programs_temporary_file, a_name_with_a_line_break),
]


@pytest.mark.parametrize("add", FOREIGN, ids=lambda add: add.__name__)
def test_overwrite_refuses_what_no_run_wrote(
    add: Callable[[Path], str], run: Path, config: Path, capsys: Capture
) -> None:
    """By its name, and before anything is touched."""
    named = add(run)
    before = entries(Path())
    [said] = errors(train, OVERWRITE, capsys)
    assert said.startswith(f"run: not a run folder alone: it holds what is not a run's to remove ({named})")
    assert entries(Path()) == before


def test_many_are_counted(run: Path, config: Path, capsys: Capture) -> None:
    for number in range(5):
        (run / f"{number}.txt").write_text("precious")
    assert "(0.txt; 1.txt; 2.txt and 2 more)" in refused(OVERWRITE, capsys)


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_project_is_no_run_folder(overwrite: bool, config: Path, capsys: Capture) -> None:
    """Not even where every name in it is one that a run writes: that a run began here must be seen."""
    Path("mine/checkpoints").mkdir(parents=True)
    for name in ("config.yaml", "report.md", "checkpoints/best.safetensors", "model.bnn"):
        Path("mine", name).write_text("precious")
    arguments = ["--config", "t.yaml", "--set", "run.dir=mine", "--set", f"run.overwrite={overwrite}".lower()]
    assert "not a run folder" in refused(arguments, capsys)
    assert "not a run folder" in refused([*arguments, "--set", "run.dir=."], capsys)
    Path("mine/checkpoints/best.safetensors").unlink()
    assert "no run to resume" in refused(["--resume", "mine"], capsys)
    assert "no run to resume" in refused(["--resume", "."], capsys)


def test_home_is_no_run_folder(config: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    Path("home").mkdir()
    Path("home/.profile").write_text("precious")
    monkeypatch.setenv("HOME", str(Path("home").absolute()))
    said = refused([*OVERWRITE, "--set", "run.dir='~'"], capsys)
    assert said.startswith(f"{Path('home').absolute()}: not a run folder alone")


# ---------------------------------------------------------------------------- what is a run's


def test_all_that_a_run_writes_is_its_own(tmp_path: Path) -> None:
    """A new file of a run must be named in ``contents.OWN``."""
    start(tiny(tmp_path / "run", run={"tensorboard": True}, training={"checkpoint_every": 1}))
    contents = survey(tmp_path / "run")
    assert contents.foreign == []
    assert {path.name for path in (tmp_path / "run").rglob("*") if path.is_file()} == {
        *(path.name for path in contents.own),
        ".lock",
    }


def test_overwrite_discards_the_run_and_keeps_packed_networks(
    run: Path, config: Path, capsys: Capture
) -> None:
    """A packed network may be the only copy of a trained one; a hard link elsewhere keeps its content."""
    shutil.copy(GOLDEN, run / "model.bnn")
    os.link(run / "checkpoints" / "best.safetensors", "kept.safetensors")
    kept = Path("kept.safetensors").read_bytes()
    (run / "checkpoints" / ".last.safetensors.7.tmp").write_text("half")
    old = entries(run)
    assert train([*OVERWRITE, "--set", "training.epochs=1"]) == 0
    assert "run/model.bnn: a packed network from before this run; it stays" in capsys.readouterr().err
    assert (run / "model.bnn").read_bytes() == GOLDEN.read_bytes()
    assert Path("kept.safetensors").read_bytes() == kept
    new = entries(run)
    assert new["model.bnn"] == old["model.bnn"]
    assert not any(name.endswith(".tmp") for name in new)
    assert "epochs: 1" in (run / "config.yaml").read_text()
    assert train(OVERWRITE) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user for a moment")
@pytest.mark.parametrize("folder", ["run", "run/checkpoints", "run/tensorboard"])
def test_a_protected_folder_keeps_the_whole_run(folder: str, config: Path, capsys: Capture) -> None:
    assert train([*OVERWRITE, "--set", "run.tensorboard=true"]) == 0
    try:
        for path in (Path(), *Path().rglob("*")):
            os.chown(path, 65534, 65534)
    except OSError:
        pytest.skip("this root knows no other user")
    Path(folder).chmod(0o555)
    Path().absolute().parent.chmod(0o755)
    before = entries(Path())
    os.seteuid(65534)
    try:
        [said] = errors(train, OVERWRITE, capsys)
    finally:
        os.seteuid(0)
    assert "write-protected" in said
    assert entries(Path()) == before


def test_a_folder_behind_a_link_is_a_run_folder(config: Path) -> None:
    Path("large_disk").mkdir()
    Path("run").symlink_to("large_disk")
    for _ in range(2):
        assert train(OVERWRITE) == 0
    assert Path("run").is_symlink()
    assert Path("large_disk/report.md").is_file()


@pytest.mark.parametrize("place", ["run", "run/inner"])
def test_a_link_that_leads_nowhere_as_a_run_folder(place: str, config: Path, capsys: Capture) -> None:
    Path("run").symlink_to("large_disk")
    said = refused(["--config", "t.yaml", "--set", f"run.dir={place}"], capsys)
    assert said.startswith(f"{place}: run is a link to large_disk, which is not there; choose another folder")


def test_what_cannot_be_removed_is_named(
    run: Path, config: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def busy(self: Path, missing_ok: bool = False) -> None:
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(Path, "unlink", busy)
    assert refused(OVERWRITE, capsys).startswith(
        "run/report.json: cannot be removed: Device or resource busy"
    )


def test_the_mode_of_all_that_a_run_leaves(tmp_path: Path) -> None:
    former = os.umask(0o027)
    try:
        start(tiny(tmp_path / "run", run={"tensorboard": True}))
    finally:
        os.umask(former)
    for path in (tmp_path / "run").rglob("*"):
        wanted = 0o750 if path.is_dir() else 0o640
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path
