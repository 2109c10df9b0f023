"""The commands on terminals and pipes of every encoding, closed, full, or left by their reader."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import compare_packed
import reproduce
from bnn_train.cli import terminal
from bnn_train.cli.eval import main as evaluate
from bnn_train.cli.export import main as export
from bnn_train.cli.train import main as train
from bnn_train.config.loader import load
from commands import ENVIRONMENT, PATIENCE_S, ran, words
from tiny_yaml import write_config

Main = Callable[[Sequence[str]], int]
ENCODINGS = ("ascii", "latin-1", "cp1252", "koi8-r", "utf-16", "utf-8")
NAME = "Übung-中-\udcff"
"""Letters that some encodings lack, and a byte that is no letter in any."""
NOTES = "Größe ½ → 中"
FAST = ("--kernel", "reference")
QUICK: list[tuple[Main, tuple[str, ...], int]] = [
    (train, ("--list",), 0),
    (train, ("--json-schema",), 0),
    (train, ("--config", "t.yaml", "--print-config"), 0),
    (train, ("--config", "t.yaml", "--dry-run"), 0),
    (train, ("--config", "t.yaml"), 2),
    (train, ("--config", NAME), 2),
    (train, ("--resume", NAME), 2),
    (evaluate, ("--checkpoint", "run"), 0),
    (evaluate, ("--checkpoint", NAME), 2),
    (reproduce.main, ("--list",), 0),
    (reproduce.main, (NAME,), 2),
]
SLOW: list[tuple[Main, tuple[str, ...], int]] = [
    (train, ("--config", "t.yaml", "--check"), 0),
    (train, ("--config", "t.yaml", "--set", "run.dir=other"), 0),
    (train, ("--resume", "other", "--set", "training.epochs=3"), 0),
    (export, ("--checkpoint", "run", "--out", f"{NAME}.bnn", "--no-latency", *FAST), 0),
    (evaluate, ("--checkpoint", f"{NAME}.bnn", *FAST), 0),
]
HELP: list[Main] = [train, evaluate, export, reproduce.main]


class Pipe(io.BytesIO):
    """A stream whose text stays readable, whoever closes it."""

    def close(self) -> None:
        pass


def pipe(monkeypatch: pytest.MonkeyPatch, encoding: str) -> dict[str, Pipe]:
    """stdout and stderr as Python opens them for a pipe of this encoding: strict, and with escapes."""
    written = {"stdout": Pipe(), "stderr": Pipe()}
    for (name, raw), errors in zip(written.items(), ("strict", "backslashreplace"), strict=True):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(raw, encoding, errors))
    return written


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_command_on_every_encoding(encoding: str, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_config(Path(), run={"dir": "run", "tensorboard": False}, reference={"notes": NOTES})
    for command, arguments, code in QUICK + (SLOW if encoding == ENCODINGS[0] else []):
        with monkeypatch.context() as patch:
            written = pipe(patch, encoding)
            assert command(arguments) == code, arguments
            sys.stdout.flush()
            sys.stderr.flush()
        assert written["stderr" if code == 2 else "stdout"].getvalue(), arguments
        assert b"Traceback" not in written["stderr"].getvalue()


def test_files_are_utf_8_whatever_the_terminal_is(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_config(workdir, run={"dir": "run", "tensorboard": False}, reference={"notes": NOTES})
    with monkeypatch.context() as patch:
        pipe(patch, "latin-1")
        assert train(["--config", "t.yaml"]) == 0
    assert NOTES in Path("run/report.md").read_text(encoding="utf-8")
    assert load("run/config.yaml") == load("t.yaml")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("command", HELP)
def test_help_and_mistakes_in_the_words(
    encoding: str, command: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    for word, code in (("--help", 0), (f"--{NAME}", 2)):
        with monkeypatch.context() as patch:
            written = pipe(patch, encoding)
            with pytest.raises(SystemExit) as left:
                command([word])
            assert left.value.code == code
            sys.stdout.flush()
            sys.stderr.flush()
        assert written["stderr" if code else "stdout"].getvalue()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_printed_config_loads_again(encoding: str, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_config(workdir, reference={"notes": NOTES}, data={"name": "mnist", "root": "Übung"})
    with monkeypatch.context() as patch:
        written = pipe(patch, encoding)
        assert train(["--config", "t.yaml", "--print-config"]) == 0
        sys.stdout.flush()
    Path("again.yaml").write_bytes(written["stdout"].getvalue())
    assert load("again.yaml") == load("t.yaml")


def test_what_an_encoding_lacks_is_a_question_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    written = pipe(monkeypatch, "latin-1")
    terminal.prepare()
    terminal.prepare()
    print("½ – ×")
    print("½ – ×", file=sys.stderr)
    terminal.settle()
    assert written["stdout"].getvalue() == "½ ? ×\n".encode("latin-1")
    assert written["stderr"].getvalue() == "½ \\u2013 ×\n".encode("latin-1")


# -------------------------------------------------------------------------------- as processes


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config beside which runs may be made."""
    write_config(tmp_path, run={"dir": "run", "tensorboard": False})
    return tmp_path


def finished(folder: Path) -> bool:
    return (folder / "run" / "report.json").is_file()


def test_a_training_in_a_process(config: Path) -> None:
    done = ran(
        "bnn-train",
        "--config",
        "t.yaml",
        cwd=config,
        env={**ENVIRONMENT, "PYTHONIOENCODING": "latin-1:strict"},
    )
    assert (done.returncode, done.stderr) == (0, "run folder: run\n")
    assert "top-1 " in done.stdout
    assert "?" in done.stdout.splitlines()[-1]


def test_a_training_outlives_the_reader_of_its_lines(config: Path) -> None:
    """``bnn-train | head -c 0``: nothing that was trained is lost for want of a terminal."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        words("bnn-train", "--config", "t.yaml"), cwd=config, env=ENVIRONMENT, stdout=write, stderr=write,
        timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    os.close(write)
    assert done.returncode == 0
    assert finished(config)


def test_a_training_without_any_stream(config: Path) -> None:
    """As some services start it: not even ``/dev/null`` stands at 0, 1 and 2."""
    done = subprocess.run(
        words("bnn-train", "--config", "t.yaml"), cwd=config, env=ENVIRONMENT, timeout=PATIENCE_S,
        check=False, preexec_fn=lambda: os.closerange(0, 3),
    )  # fmt: skip
    assert done.returncode == 0
    assert finished(config)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_results_that_could_not_be_printed(config: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            words("bnn-train", "--config", "t.yaml"), cwd=config, env=ENVIRONMENT, stdout=full,
            stderr=subprocess.PIPE, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    said = done.stderr.decode().splitlines()[-1]
    assert said == "error: standard output: No space left on device; what was printed is incomplete"
    assert finished(config)


def test_a_comparison_on_any_encoding(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert export(["--checkpoint", str(run), "--out", "m.bnn", "--no-latency", *FAST]) == 0
    monkeypatch.setenv("BNN_KERNEL", "reference")
    shutil.move("m.bnn", f"{NAME}.bnn")
    monkeypatch.setattr(sys, "argv", ["compare_packed.py", "run", f"{NAME}.bnn"])
    written = pipe(monkeypatch, "ascii")
    assert compare_packed.main() == 0
    sys.stdout.flush()
    assert b"50 with the same answer" in written["stdout"].getvalue()
