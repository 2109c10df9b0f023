"""Other formats by the commands: written from a run or a packed file, scored by bnn-eval, refused so."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from bnn_train.cli.eval import main as evaluate
from bnn_train.cli.export import main as export
from bnn_train.cli.predict import main as predict
from bnn_train.cli.summary import main as summary
from bnn_train.export.targets import needs
from bnn_train.export.targets.table import TARGETS
from bnn_train.packed.container import read
from tiny_yaml import refused

Capture = pytest.CaptureFixture[str]
EXPORT = ("--checkpoint", "run", "--kernel", "reference", "--no-latency")
pytestmark = pytest.mark.filterwarnings("ignore")


def top1(path: str, capsys: Capture) -> str:
    """The score of a file, and who ran it."""
    assert evaluate(["--checkpoint", path]) == 0
    return capsys.readouterr().out.splitlines()[-1]


@pytest.fixture
def packed(run: Path, capsys: Capture) -> str:
    """The run's packed file."""
    assert run
    assert export([*EXPORT, "--out", "m.bnn"]) == 0
    capsys.readouterr()
    return "m.bnn"


OTHERS = ("onnx", "openvino", "qonnx", "torch")
SLOW = {"qonnx": pytest.mark.slow}
"""A session for each node and image."""


@pytest.mark.parametrize("name", [pytest.param(n, marks=SLOW.get(n, ())) for n in OTHERS])
def test_written_and_scored(name: str, packed: str, capsys: Capture) -> None:
    target = TARGETS[name]
    for package in target.packages:
        pytest.importorskip(package, reason=f"needs the extra `{target.extra}`")
    out = f"m{target.endings[0] if target.endings else ''}"
    assert export(["--checkpoint", packed, "--out", out, "--format", name, "--report", "r.json"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == f"written: {out}"
    report = json.loads(Path("r.json").read_text())
    assert report["format"] == name
    assert report["told"] == said[:-1]
    if target.is_folder:
        return
    assert export([*EXPORT, "--out", out]) == 0  # from the run, the ending chooses
    assert "parity" in capsys.readouterr().out
    assert top1(out, capsys) == top1(packed, capsys)
    assert "leave out --threads" in refused(["--checkpoint", out, "--threads", "2"], capsys, evaluate)


def test_wrong_pairs_and_options(packed: str, capsys: Capture) -> None:
    for arguments, sentence in {
        (
            "--out",
            "m.bnn",
            "--format",
            "torch",
        ): "m.bnn: .bnn is packed, and --format says torch; name it like m.py",
        ("--out", "m", "--format", "onnx"): "m: a file of onnx is named like m.onnx",
        ("--out", "n.py", "--with", "weights=int8"): "--with weights=int8: torch has no option weights",
        ("--out", "n.bnn"): "m.bnn: is packed already; bnn-export takes the run or the checkpoint",
        (
            "--out",
            "n.py",
            "--last",
            "int8",
        ): "m.bnn: is packed already, .*; leave out --last-layer, or give the run",
        ("--out", "run", "--format", "torch"): "run: a file of torch is named like run.py",
    }.items():
        assert re.match(sentence, refused(["--checkpoint", packed, *arguments], capsys, export)), sentence


def test_a_missing_extra_is_told_before_the_work(
    run: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    assert run
    monkeypatch.setattr(needs, "version", absent)
    said = refused([*EXPORT, "--out", "m.onnx"], capsys, export)
    assert said == "--format onnx needs onnx, not installed here: pip install 'bnn-train[onnx]'"


def test_a_packed_file_is_converted_without_torch(packed: str) -> None:
    code = "import sys; sys.modules['torch'] = None\nfrom bnn_train.cli.export import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "--checkpoint", packed, "--out", "m.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "written: m.py"
    header, _ = read(packed)
    assert header.classes


def test_another_format_is_no_checkpoint(packed: str, capsys: Capture) -> None:
    assert export(["--checkpoint", packed, "--out", "m.py"]) == 0
    for command, arguments in (
        (export, ["--checkpoint", "m.py", "--out", "n.bnn"]),
        (predict, ["m.py", "a.png"]),
        (summary, ["m.py"]),
    ):
        said = refused(arguments, capsys, command)
        assert said.startswith("m.py: is a network in the format torch, which bnn-eval runs; name the run")
