"""The commands as a user runs them: what they print, leave on the disk and exit with."""

from __future__ import annotations

import json
import os
import pty
import resource
import subprocess
import termios
from pathlib import Path

import pytest

from bnn_train.cli.eval import main as evaluate
from bnn_train.cli.train import main as train
from bnn_train.config.loader import load
from bnn_train.spec.datasets import DATASETS
from bnn_train.spec.methods import METHODS
from bnn_train.spec.networks import NETWORKS
from commands import ENVIRONMENT, PATIENCE_S, ROOT, ran, words
from same_run import results
from tiny_yaml import files, write_config

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with t.yaml and the run that ``bnn-train --config t.yaml`` made there."""
    folder = tmp_path_factory.mktemp("home")
    write_config(folder)
    done = ran("bnn-train", "--config", "t.yaml", cwd=folder)
    (folder / "stdout.txt").write_text(done.stdout)
    (folder / "stderr.txt").write_text(done.stderr)
    assert done.returncode == 0, done.stderr
    return folder


def report(run: Path) -> dict[str, float]:
    return json.loads((run / "report.json").read_text())  # type: ignore[no-any-return]


def test_train_then_eval(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    run = home / "runs" / "t"
    top1 = f"top-1 {report(run)['top1']:.2f} %"
    assert (home / "stdout.txt").read_text().splitlines()[-1].startswith(top1)
    assert load(run / "config.yaml") == load(home / "t.yaml")
    done = ran("bnn-eval", "--checkpoint", "runs/t", "--json", "folder.json", cwd=home)
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(home)
    file = "runs/t/checkpoints/best.safetensors"
    assert evaluate(["--checkpoint", file, "--json", "file.json"]) == 0
    for printed, name in ((done.stdout, "folder.json"), (capsys.readouterr().out, "file.json")):
        assert printed.splitlines()[-1] == top1
        assert json.loads(Path(name).read_text())["top1"] == report(run)["top1"]


def test_quiet_where_there_is_no_terminal(home: Path) -> None:
    assert (home / "stderr.txt").read_text() == "run folder: runs/t\n"
    printed = (home / "stdout.txt").read_text()
    assert "\r" not in printed
    assert [line.split()[0] for line in printed.splitlines()] == ["epoch", "epoch", "report:", "top-1"]


def test_one_line_of_progress_on_a_terminal(home: Path) -> None:
    """The bar overwrites itself; only the two epochs' lines and the notices stay."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    arguments = words("bnn-train", "--config", "t.yaml", "--set", "run.dir=runs/terminal")
    process = subprocess.Popen(arguments, cwd=home, env=ENVIRONMENT, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 4096):
            seen += chunk
    except OSError:  # Linux says so when the other end is closed
        pass
    assert process.wait(PATIENCE_S) == 0
    os.close(ours)
    assert b"\repoch 1:" in seen
    lines = seen.decode().replace("\r\n", "\n").split("\n")
    assert len([line for line in lines if line.strip()]) == 5


def test_dry_run(workdir: Path, capsys: Capture) -> None:
    write_config(workdir, data={"name": "mnist", "root": "nowhere"}, run={"dir": "run", "tensorboard": True})
    before = files(workdir)
    assert train(["--config", "t.yaml", "--dry-run"]) == 0
    assert files(workdir) == before
    table, _, config = capsys.readouterr().out.partition("\nmethod:")
    for layer, weights in (("linear1", 784 * 16), ("linear2", 16 * 16), ("linear3", 16 * 10)):
        row = next(line for line in table.splitlines() if line.startswith(layer))
        assert f" {weights:,} " in row
    assert f"{784 * 16 + 16 * 16 + 160:,} of 1 bit" in table
    Path("again.yaml").write_text(f"method:{config}")
    assert load("again.yaml") == load("t.yaml")


def imported(stderr: str) -> set[str]:
    """The modules that ``-X importtime`` lists."""
    return {
        line.rpartition("|")[2].strip() for line in stderr.splitlines() if line.startswith("import time:")
    }


def test_print_config_loads_again_and_needs_no_torch(tmp_path: Path) -> None:
    write_config(tmp_path)
    settings = ("--set", "method=xnor", "--set", "optimizer.lr=1e-3")
    done = ran(
        "bnn-train",
        "--config",
        "t.yaml",
        "--print-config",
        *settings,
        cwd=tmp_path,
        flags=("-X", "importtime"),
    )
    assert done.returncode == 0
    assert "pydantic" in imported(done.stderr)
    assert not {"torch", "torchvision", "numpy"} & imported(done.stderr)
    (tmp_path / "again.yaml").write_text(done.stdout)
    again = load(tmp_path / "again.yaml")
    assert again == load(tmp_path / "t.yaml", settings[1::2])
    assert (again.method.name, again.optimizer.lr) == ("xnor", 1e-3)


def test_a_typo_is_answered_without_torch(tmp_path: Path) -> None:
    write_config(tmp_path, method="xnr")
    done = ran("bnn-train", "--config", "t.yaml", cwd=tmp_path, flags=("-X", "importtime"))
    assert done.returncode == 2
    assert "error: t.yaml:1: method: unknown method 'xnr' (did you mean xnor?)" in done.stderr
    assert "torch" not in imported(done.stderr)
    assert os.listdir(tmp_path) == ["t.yaml"]


def test_list() -> None:
    done = ran("bnn-train", "--list", cwd=ROOT)
    assert done.returncode == 0
    listed = {line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")}
    assert {*METHODS, *NETWORKS, *DATASETS, "sgd", "cosine", "square_hinge", "gcn", "pad_crop_flip"} <= listed
    assert len([name for name in listed if name.endswith(".yaml")]) == len(
        list((ROOT / "configs").rglob("*.yaml"))
    )


def test_a_reader_that_leaves(tmp_path: Path) -> None:
    """``bnn-train --list | head -1`` ends in silence."""
    process = subprocess.Popen(
        words("bnn-train", "--json-schema"),
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(PATIENCE_S) == 0
    process.stderr.close()


def test_settings(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--set reaches the run, the latter of two wins, and another method and seed give another network."""
    monkeypatch.chdir(home)
    settings = ("--set", "run.dir=runs/other", "--set", "seed=8", "--set", "seed=9", "--set", "method=bwn")
    assert train(["--config", "t.yaml", *settings]) == 0
    resolved = load(home / "runs" / "other" / "config.yaml")
    assert (resolved.seed, resolved.method.name) == (9, "bwn")
    assert results(home / "runs" / "other") != results(home / "runs" / "t")


def test_the_ways_to_resume(workdir: Path) -> None:
    """Bare: the latest under runs/. With --config: that config's run. With RUN: that one."""
    for name in ("a", "b"):
        write_config(workdir, f"{name}.yaml", training={"epochs": 1})
        assert train(["--config", f"{name}.yaml"]) == 0

    def epochs() -> tuple[float, float]:
        return report(Path("runs/a"))["epochs"], report(Path("runs/b"))["epochs"]

    assert train(["--resume", "--set", "training.epochs=2"]) == 0
    assert epochs() == (1, 2)
    assert train(["--config", "a.yaml", "--resume", "--set", "training.epochs=3"]) == 0
    assert epochs() == (3, 2)
    assert train(["--resume", "--set", "training.epochs=4"]) == 0
    assert epochs() == (4, 2)
    assert train(["--resume", "runs/b", "--set", "training.epochs=5"]) == 0
    assert epochs() == (4, 5)


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """No file may grow beyond 20 kB: the first checkpoint does not fit."""
    write_config(tmp_path, model={"name": "mlp", "width": 64, "depth": 2})
    done = ran(
        "bnn-train", "--config", "t.yaml", "--set", "run.dir=run", cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )  # fmt: skip
    assert done.returncode == 2
    assert "error: run/checkpoints/" in done.stderr
    assert "cannot write the checkpoint" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "run" / "checkpoints").iterdir())


def test_list_methods(capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each row; a card with the formulas of one; a name that is none is a sentence."""
    table = ran("bnn-train", "--list", "methods", cwd=ROOT)
    assert table.returncode == 0
    listed = {line.split()[0]: line for line in table.stdout.splitlines() if line}
    assert listed.keys() >= METHODS.keys()
    assert {"2018", "1/2", "1×(2+1)"} <= set(listed["pact"].split())
    assert train(["--list", "methods", "irnet"]) == 0
    card = capsys.readouterr().out
    for told in (
        "against bireal:",
        "weight.scale: l1 → pow2",
        "α = 2^s",
        "--config quickstart.yaml --set method=",
    ):
        assert told in card
    assert train(["--list", "methods", "irnt"]) == 2
    wrong = capsys.readouterr()
    assert wrong.out == ""
    assert wrong.err == "error: --list methods irnt: no such method; did you mean irnet?\n"
