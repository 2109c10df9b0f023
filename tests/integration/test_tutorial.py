"""The tutorial, followed: its programs, configs and commands in their order, with fewer epochs."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bnn_train.cli import eval as cli_eval
from bnn_train.cli import export as cli_export
from bnn_train.cli import predict as cli_predict
from bnn_train.cli import report as cli_report
from bnn_train.cli import summary as cli_summary
from bnn_train.cli import train as cli_train
from tiny_yaml import Command

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = (ROOT / "configs/TUTORIAL.md").read_text(encoding="utf-8")
COMMANDS: dict[str, Command] = {
    "bnn-train": cli_train.main,
    "bnn-eval": cli_eval.main,
    "bnn-export": cli_export.main,
    "bnn-predict": cli_predict.main,
    "bnn-report": cli_report.main,
    "bnn-summary": cli_summary.main,
}
SHORT = "--set training.epochs=2 --set run.threads=1 --set run.tensorboard=false"


def _blocks(kind: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", TUTORIAL, re.DOTALL | re.MULTILINE)
    return [text for word, text in found if word == kind]


def _run(line: str) -> None:
    """A command of the package in this process, any other as it stands."""
    if line.startswith("bnn-train") and "--dry-run" not in line:
        line = f"{line} {SHORT}"
    command, *arguments = shlex.split(line)
    if command in COMMANDS:
        assert COMMANDS[command](arguments) == 0, line
        return
    shell = line.replace("python ", f"{shlex.quote(sys.executable)} ", 1) if command == "python" else line
    subprocess.run(shell, shell=True, check=True, timeout=120)


@pytest.mark.skipif(not (shutil.which("cc") and shutil.which("make")), reason="no C compiler and make")
def test_the_tutorial(workdir: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (program,), (config,) = _blocks("python"), _blocks("yaml")
    Path("draw.py").write_text(program, encoding="utf-8")
    Path("shapes.yaml").write_text(config, encoding="utf-8")
    lines = [
        line
        for block in _blocks("")
        for line in block.splitlines()
        if line.partition(" ")[0] in {*COMMANDS, "python", "make", "shapes_c/run"}
    ]
    assert len(lines) == 16
    said = {}
    for line in lines:
        _run(line)
        said[line] = "".join(capfd.readouterr())
    ranked = said["bnn-report runs/bnn runs/xnor --text"]
    assert {row.split()[0] for row in ranked.splitlines()[2:4]} == {"bnn", "xnor"}
    assert Path("comparison.html").stat().st_size > 10_000
    assert "0 faults" in said["make -s -C shapes_c check run"]
    answers = said["bnn-predict runs/shapes shapes/test/square/0.png --top 2"]
    named = next(row.split()[1] for row in answers.splitlines() if row.startswith("shapes/"))
    assert said["shapes_c/run < image.raw"].split()[1] == named
    exported = said["bnn-export --checkpoint runs/shapes --format c --out shapes_c"]
    assert "memory     2,048 bytes" in exported
    assert "takes no real number" in exported
