"""Outputs that cannot be written, and inputs that are something else, are told before the work."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from bnn_train.cli import eval_runs, formats, outputs
from bnn_train.cli.eval import main as evaluate
from bnn_train.cli.export import main as export
from bnn_train.cli.train import main as train
from bnn_train.errors import BnnError
from bnn_train.export.run import Export
from tiny_yaml import Command, refused, write_config

Capture = pytest.CaptureFixture[str]
BEST = "run/checkpoints/best.safetensors"
EXPORT = ("--checkpoint", "run", "--kernel", "reference", "--no-latency")
PLACES = {
    "no folder": ("no/f", "no/f: cannot be written: the folder .* does not exist; make it first"),
    "a file as folder": (
        "t.yaml/f",
        "t.yaml/f: cannot be written: the folder .* does not exist; make it first",
    ),
    "a folder": ("run", "run: cannot be written: it is a folder; name a file in it"),
    "too long": ("x" * 300, "cannot be written: File name too long"),
    "the checkpoint": (BEST, "best.safetensors: .* and --checkpoint name the same file; choose another for "),
    "the checkpoint, otherwise written": (f"run/../{BEST}", "name the same file"),
    "the checkpoint by a link": ("link", "name the same file"),
}
OPTIONS: list[tuple[Command, str, tuple[str, ...]]] = [
    (evaluate, "--json", ("--checkpoint", "run")),
    (export, "--report", (*EXPORT, "--out", "m.bnn")),
    (export, "--out", EXPORT),
]


@pytest.fixture
def idle(run: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run on which nothing may be computed."""

    def work(*_arguments: object, **_options: object) -> None:
        raise AssertionError("the work was begun")

    monkeypatch.setattr(eval_runs, "score_checkpoint", work)
    monkeypatch.setattr(eval_runs, "score_packed", work)
    monkeypatch.setattr(Export, "__init__", work)
    Path("link").symlink_to(BEST)
    write_config(Path())
    return run


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("command", "option", "others"), OPTIONS)
def test_every_output_is_looked_at_first(
    place: str, command: Command, option: str, others: tuple[str, ...], idle: Path, capsys: Capture
) -> None:
    path, sentence = PLACES[place]
    assert re.search(sentence, refused([*others, option, path], capsys, command))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_write_protected(idle: Path, capsys: Capture) -> None:
    Path("locked").mkdir(mode=0o555)
    for command, option, others in OPTIONS:
        assert "is write-protected" in refused([*others, option, "locked/f"], capsys, command)


def test_two_outputs_of_one_name(idle: Path, capsys: Capture) -> None:
    said = refused([*EXPORT, "--out", "m.bnn", "--report", "./m.bnn"], capsys, export)
    assert said == "m.bnn: --out and --report name the same file; choose another for --out"


def test_a_pipe_takes_a_report_but_no_packed_file(tmp_path: Path) -> None:
    outputs.check({"--json": Path("/dev/stdout")}, {})
    os.mkfifo(tmp_path / "pipe")
    outputs.check({"--json": tmp_path / "pipe"}, {})
    for path in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(BnnError, match="it is no regular file"):
            formats.check_ending(path)


@pytest.mark.parametrize(
    "ending", ["ort", "PT", "pt", "pth", "tflite", "h5", "safetensors", "json", "mlmodel"]
)
def test_the_name_of_another_format(ending: str, idle: Path, capsys: Capture) -> None:
    said = refused([*EXPORT, "--out", f"my.model.{ending}"], capsys, export)
    assert said.startswith(f"my.model.{ending}: bnn-export does not write ")
    assert "; name the file like my.model.bnn, or by the ending of another format (.bnn" in said


@pytest.mark.parametrize("name", ["model.bnn", "model", "model.v1.2", "model.bin", "модель.bnn"])
def test_other_names_are_free(name: str) -> None:
    assert formats.choose(Path(name), None).name == "packed"
    formats.check_ending(Path(name))


# ------------------------------------------------------------------------------ inputs of another kind


@pytest.mark.parametrize("name", ["t.yaml", "T.YML"])
def test_a_config_is_no_checkpoint(name: str, idle: Path, capsys: Capture) -> None:
    Path("t.yaml").rename(name)
    for command, more in ((evaluate, ()), (export, ("--out", "m.bnn"))):
        said = refused(["--checkpoint", name, *more], capsys, command)
        assert said.startswith(f"{name}: is a config, not a checkpoint; bnn-train --config {name} trains it")


@pytest.mark.parametrize("start", [b"PK\x03\x04....", b"\x80\x02}q\x00."])
def test_pytorchs_files_are_no_checkpoints(start: bytes, idle: Path, capsys: Capture) -> None:
    Path("model.pt").write_bytes(start)
    for command, more in ((evaluate, ()), (export, ("--out", "m.bnn"))):
        assert "not a bnn_train checkpoint but a pickle" in refused(
            ["--checkpoint", "model.pt", *more], capsys, command
        )


def test_a_pipe_is_no_checkpoint(idle: Path, capsys: Capture) -> None:
    """Nothing would ever come out of it."""
    os.mkfifo("pipe")
    for command, more in ((evaluate, ()), (export, ("--out", "m.bnn"))):
        assert refused(["--checkpoint", "pipe", *more], capsys, command).startswith(
            "pipe: is no regular file"
        )


def test_names_that_no_checkpoint_can_have(idle: Path, capsys: Capture) -> None:
    """Told before the training, not by the checkpoint that it ends with."""
    for name in ("\udcff.yaml", "configs/\udcff/t.yaml"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy("t.yaml", name)
        said = refused(["--config", name], capsys)
        assert said.endswith("its name is not UTF-8, and so would be the run's; give --set run.dir=FOLDER")
    idle.rename("\udcff")
    assert "its name is not UTF-8" in refused(["--checkpoint", "\udcff"], capsys, evaluate)


def test_a_packed_file_is_packed_already(run: Path, capsys: Capture) -> None:
    assert export([*EXPORT, "--out", "m.bnn"]) == 0
    said = refused(["--checkpoint", "m.bnn", "--out", "again.bnn"], capsys, export)
    assert (
        said == "m.bnn: is packed already; bnn-export takes the run or the checkpoint that it was made from"
    )
    assert "--out and --checkpoint name the same" in refused(
        ["--checkpoint", "m.bnn", "--out", "m.bnn"], capsys, export
    )


def test_a_run_is_announced_when_it_begins(run: Path, capsys: Capture) -> None:
    """… and not before a refusal."""
    config = write_config(Path(), run={"dir": "run", "tensorboard": False})
    assert "holds an earlier run" in refused(["--config", str(config)], capsys)
    assert refused(["--resume", "nowhere"], capsys)
    assert train(["--config", str(config), "--set", "run.dir=other"]) == 0
    assert capsys.readouterr().err == "run folder: other\n"
    assert train(["--resume", "other", "--set", "training.epochs=3"]) == 0
    assert capsys.readouterr().err == "resuming other\n"
