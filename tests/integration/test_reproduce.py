"""scripts/reproduce.py from end to end on a few images: results, interrupts, what is done once only."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

import reproduce
from bnn_train.binary.latent import enforce
from make_data import accept, write_mnist
from reproduction.tables import TABLES

SMALL = ("model.width=16", "data.validation.size=20", "data.batch_size=10", "training.checkpoint_every=1")
ROWS = "bc_mlp,xnor_mlp"


@pytest.fixture
def data(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """MNIST in 60 training and 20 test images, in the current directory."""
    write_mnist(workdir / "data", train=60)
    accept(monkeypatch, workdir / "data", "mnist")
    return workdir


def reproduced(*more: str, out: str = "out") -> int:
    settings = [word for one in SMALL for word in ("--set", one)]
    words = ["mnist-one-protocol", "--rows", ROWS, "--root", "data", "--out", out, "--threads", "1"]
    return reproduce.main([*words, "--fast", "3", *settings, *more])


def results(out: str = "out") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(out, "results.json").read_text())
    return found


def timeless(out: str) -> list[dict[str, Any]]:
    """The rows, without their times and what names the run's folder."""
    left = ("seconds", "runs")
    return [{key: value for key, value in row.items() if key not in left} for row in results(out)["rows"]]


def test_a_later_seed_runs_alone(data: Path) -> None:
    assert reproduced("--rows", "bc_mlp", "--seeds", "2-2") == 0
    (row,) = [row for row in results()["rows"] if row["row"] == "bc_mlp"]
    assert list(row["top1"]) == ["2"]


def test_rows_and_seeds_run_and_are_written(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduced("--seeds", "2") == 0
    found = results()
    ran = [row for row in found["rows"] if row["row"] in ROWS.split(",")]
    assert [(row["row"], list(row["top1"]), row["epochs"]) for row in ran] == [
        ("bc_mlp", ["1", "2"], 3),
        ("xnor_mlp", ["1", "2"], 3),
    ]
    assert all(row["verdict"] == "not comparable: 3 of 50 epochs" for row in ran)
    assert [row["verdict"] for row in found["rows"] if row not in ran] == ["not run"] * 3
    assert found["fast"] == 3
    assert all(one["machine"].endswith(", 1 thread") for row in ran for one in row["runs"])
    text = Path("out/results.md").read_text()
    assert text in capsys.readouterr().out
    for row in ran:
        report = json.loads(Path("out/fast3", row["row"], "seed2", "report.json").read_text())
        assert row["top1"]["2"] == report["top1"]
        assert row["command"] in text


def test_finished_rows_are_not_trained_again(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reproduced() == 0
    first = timeless("out")
    monkeypatch.setattr("bnn_train.training.step.enforce", None)  # a step would fail
    capsys.readouterr()
    assert reproduced() == 0
    assert capsys.readouterr().err.count("finished before, top-1") == 2
    assert timeless("out") == first


@pytest.mark.parametrize("last_step", [2, 7, 12, 15])
def test_an_interrupted_table_goes_on_and_ends_alike(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], last_step: int
) -> None:
    """12 steps a run (3 epochs of 4): in the first row, at its end, and in the second."""
    assert reproduced(out="straight") == 0
    done = [0]

    def stopping(model: Any) -> None:
        enforce(model)
        done[0] += 1
        if done[0] == last_step:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("bnn_train.training.step.enforce", stopping)
    assert reproduced() == 130
    assert "go on with the same command" in capsys.readouterr().err
    if last_step > 12:
        verdicts = {row["row"]: row["verdict"] for row in results()["rows"]}
        assert verdicts["bc_mlp"] == "not comparable: 3 of 50 epochs"
        assert verdicts["xnor_mlp"] == "not run"
    assert reproduced() == 0
    assert done[0] == 24  # no step twice
    assert timeless("out") == timeless("straight")


def test_a_run_killed_before_its_first_checkpoint_begins_anew(data: Path) -> None:
    assert reproduced() == 0
    first = timeless("out")
    run = Path("out/fast3/bc_mlp/seed1")
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").mkdir()
    (run / "report.json").unlink()
    assert reproduced() == 0
    assert timeless("out") == first


def test_a_folder_of_another_config_is_left_alone(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduced() == 0
    before = Path("out/results.json").read_text()
    assert reproduced("--set", "optimizer.lr=0.5") == 2
    assert "holds a run of another config; choose another --out" in capsys.readouterr().err
    assert Path("out/results.json").read_text() == before


@pytest.mark.parametrize("damage", ['{"top1": 99', "[]", '{"top1": "98"}', None])
def test_a_damaged_report_is_made_again_from_the_checkpoint(data: Path, damage: str | None) -> None:
    assert reproduced() == 0
    first = timeless("out")
    path = Path("out/fast3/bc_mlp/seed1/report.json")
    without = json.dumps(json.loads(path.read_text()) | {"history": None})
    path.write_text(without if damage is None else damage)
    assert reproduced() == 0
    assert timeless("out") == first


def test_rows_run_one_by_one_make_one_table(data: Path) -> None:
    assert reproduced(out="together") == 0
    assert reproduced("--rows", "xnor_mlp") == 0
    assert reproduced("--rows", "bc_mlp", "--seeds", "2") == 0
    assert reproduced() == 0
    rows = {row["row"]: list(row["top1"]) for row in results()["rows"] if row["top1"]}
    assert rows == {"bc_mlp": ["1", "2"], "xnor_mlp": ["1"]}
    assert results()["rows"][-1] | {"seconds": 0, "runs": 0} == results("together")["rows"][-1] | {
        "seconds": 0,
        "runs": 0,
    }


def test_a_setting_need_not_suit_the_rows_that_are_left_out(data: Path) -> None:
    """fp_mlp has no latent weights to centre, and says so when it is asked for."""
    center = ("--set", "method.latent.center=true")
    assert reproduced("--rows", "xnor_mlp", *center) == 0
    assert "fp_mlp" not in {row["row"] for row in results()["rows"]}
    assert reproduced("--rows", "fp_mlp", *center) == 2


def test_a_row_that_diverges_does_not_keep_the_others(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = [True]

    def poisoned(model: Any) -> None:
        enforce(model)
        if first.pop() if first else False:
            next(model.parameters()).data.fill_(float("nan"))

    monkeypatch.setattr("bnn_train.training.step.enforce", poisoned)
    assert reproduced() == 2
    verdicts = {row["row"]: row["verdict"] for row in results()["rows"]}
    assert verdicts["bc_mlp"].startswith("failed: ")
    assert verdicts["xnor_mlp"] == "not comparable: 3 of 50 epochs"
    assert "not all runs have a result" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["a\0b", "file", "file/below"])
def test_an_out_that_cannot_be_written_is_told_first(
    data: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    Path("file").write_text("")
    assert reproduced(out=name) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: --out {name!r}: cannot be written")
    assert "training" not in told


def test_files_that_are_no_run_are_left_alone(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Path("out/fast3/bc_mlp/seed1")
    run.mkdir(parents=True)
    (run / "thesis.txt").write_text("")
    assert reproduced() == 2
    assert "holds files that are no run; choose another --out" in capsys.readouterr().err
    (run / "config.yaml").write_text("a: [")
    assert reproduced() == 2
    assert "or remove the folder" in capsys.readouterr().err
    assert (run / "thesis.txt").exists()


def test_publishing_fills_in_the_file_beside_the_configs(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configs = data / "configs"
    (configs / "mnist").mkdir(parents=True)
    monkeypatch.setattr(reproduce, "CONFIGS", configs)
    assert reproduced("--publish") == 0
    text = (configs / "mnist" / "RESULTS.md").read_text()
    assert text.startswith("# Results")
    assert Path("out/results.md").read_text() in text


def test_list_names_every_table_and_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduce.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == sum(1 + len(table.rows) for table in TABLES.values())
    assert any(line.split()[:2] == ["bnn_mlp", "configs/mnist/bnn_mlp.yaml"] for line in lines)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["mnist"], "no such table: 'mnist'"),
        (["mnist-bc", "--rows", "bc"], "mnist-bc has no row 'bc'; its rows: fp_mlp1024"),
        (["mnist-bc", "--fast", "-1"], "--fast must be at least 1, not -1"),
        (["mnist-bc", "--threads", "0"], "--threads must be at least 1, not 0"),
        (["mnist-bc", "--set", "optimiser.lr=1"], "unknown key"),
        (["mnist-bc", "--root", "nowhere", "--fast"], "nowhere"),
    ],
)
def test_bad_input_is_a_sentence(
    workdir: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert reproduce.main(words) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if "training" not in line]
    assert all(line.startswith("error: ") for line in said)
    assert told in said[0]


@pytest.mark.parametrize(
    "words", [[], *(["mnist-bc", f"--seeds={seeds}"] for seeds in ("many", "0", "-1", "0-2", "3-2", "2-"))]
)
def test_wrong_words_leave_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        reproduce.main(words)
    assert left.value.code == 2
    assert "error" in capsys.readouterr().err
