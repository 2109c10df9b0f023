"""What every command has: help with an example that is one, its version, quiet and verbose, completion."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from bnn_train import __version__
from bnn_train.cli.eval import main as evaluate
from bnn_train.cli.train import main as train
from tiny_yaml import write_config

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
LOG_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  (.*)")


def parser(name: str) -> argparse.ArgumentParser:
    module = importlib.import_module(SCRIPTS[name].partition(":")[0])
    make: Callable[[], argparse.ArgumentParser] = module.parser
    return make()


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_help_ends_with_an_example_that_is_one(name: str) -> None:
    examples = re.findall(r"^(?:example: | +)(bnn-.*)$", parser(name).epilog or "", re.MULTILINE)
    assert examples
    for example in examples:
        command, *words = shlex.split(example)
        assert command == name
        parser(name).parse_args(words)
        for word in words:
            assert not word.startswith("configs/") or (ROOT / word).is_file()


@pytest.mark.parametrize("name", SCRIPTS)
def test_versions(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser(name).parse_args(["--version"])
    assert ended.value.code == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_completion(name: str, shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab")
    made = parser(name)
    with pytest.raises(SystemExit) as ended:
        made.parse_args(["--print-completion", shell])
    assert ended.value.code == 0
    script = capsys.readouterr().out
    assert name in script
    assert "--version" in script
    if shutil.which(shell):
        checked = subprocess.run([shell, "-n"], input=script, text=True, capture_output=True, check=False)
        assert checked.returncode == 0, checked.stderr


def test_completion_without_shtab(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    with pytest.raises(SystemExit) as ended:
        train(["--print-completion", "bash"])
    assert ended.value.code == 2
    assert "shtab is missing" in capsys.readouterr().err


def test_quiet_usual_and_verbose(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(write_config(workdir))
    said = {}
    for words in ((), ("-q",), ("-v",)):
        capsys.readouterr()
        assert train(["--config", config, "--set", "run.overwrite=true", *words]) == 0
        said[words] = capsys.readouterr()
    assert said["-q",].err == ""
    assert len(said["-q",].out.splitlines()) == 2
    assert "epoch 1/2" in said[()].out
    assert "run folder: " in said[()].err
    assert "device cpu" not in said[()].err
    assert "device cpu" in said["-v",].err
    folder = next(workdir.rglob("metrics.jsonl")).parent
    lines = [
        found[1] for found in map(LOG_LINE.fullmatch, (folder / "log.txt").read_text().splitlines()) if found
    ]
    assert lines[0].startswith("run folder: ")
    assert any(line.startswith("epoch 2/2") for line in lines)
    assert lines[-1].startswith("test top-1 ")
    assert evaluate(["--checkpoint", str(folder), "-q"]) == 0
    assert capsys.readouterr().err == ""
    assert evaluate(["--checkpoint", "nowhere", "-q"]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert evaluate(["--checkpoint", "nowhere", "-v"]) == 2
    assert "Traceback" in capsys.readouterr().err
    assert evaluate(["--checkpoint", "nowhere"]) == 2
    assert "Traceback" not in capsys.readouterr().err
