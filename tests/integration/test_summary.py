"""bnn-summary: the same network as a config, a checkpoint and a packed file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bnn_train.cli.export import main as export
from bnn_train.cli.summary import main as summary
from commands import ENVIRONMENT

MACS = ("macs_binary", "macs_mixed", "macs_real")


@pytest.fixture(scope="module")
def packed(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained run's packed file."""
    out = tmp_path_factory.mktemp("packed") / "model.bnn"
    assert export(["--checkpoint", str(trained), "--out", str(out), "--no-latency"]) == 0
    return out


def told(source: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert summary([str(source), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def test_three_forms_of_one_network(trained: Path, packed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, run, file = (told(path, capsys) for path in (trained / "config.yaml", trained, packed))
    assert config == run
    for key in ("method", "model", "input", "classes"):
        assert file[key] == run[key]
    assert [file["total"][key] for key in MACS] == [run["total"][key] for key in MACS]
    assert file["total"]["params_binary"] == run["total"]["params_binary"] > 0
    assert file["file_bytes"] == packed.stat().st_size
    assert file["total"]["bytes"] < file["file_bytes"]
    report = json.loads((trained / "report.json").read_text())
    assert run["total"]["bytes"] == report["bytes"]


def test_tables(trained: Path, packed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (trained / "checkpoints" / "best.safetensors", packed):
        assert summary([str(path)]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith("bnn mlp")
        assert any(line.startswith("total") for line in lines)
        assert lines[-1].startswith("activations ")


def test_a_packed_file_takes_no_torch(packed: Path, tmp_path: Path) -> None:
    code = (
        f"import sys; from bnn_train.cli.summary import main; code = main([{str(packed)!r}]);"
        " sys.exit(code or 10 * ('torch' in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("nowhere.yaml", None, "nowhere.yaml: "),
        ("wrong.yaml", "method: bnnn\nmodel: mlp\ndata: digits\n", "did you mean"),
        ("wrong.bin", "nothing", "checkpoint"),
    ],
)
def test_mistakes_are_told(
    name: str, content: str | None, words: str, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        Path(name).write_text(content)
    assert summary([name]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert words in said
    assert "Traceback" not in said


def test_a_damaged_packed_file(packed: Path, workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = bytearray(packed.read_bytes())
    content[-1] ^= 1
    Path("damaged.bnn").write_bytes(content)
    assert summary(["damaged.bnn"]) == 2
    assert "damaged.bnn: " in capsys.readouterr().err
