"""The script for a GPU: its parts, its results, its whole runs; tests/README.md tells of the rehearsal."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import gpu_check
from bnn_train.config.schema import Run
from bnn_train.errors import DataError, RunError
from bnn_train.training.setup import choose_device
from gpu import parts, throughput
from gpu.results import Results
from gpu.throughput import Case, experiment_of, forward_flops
from gpu.whole_run import WholeRun

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    choose_device(Run(device="cpu"))
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("network", "published"),
    [("resnet20", 41e6), ("resnet18", 0.56e9)],  # multiplications with an addition each, as papers count
)
def test_operations_are_those_of_the_papers(network: str, published: float) -> None:
    found = forward_flops(experiment_of(Case(network, "xnor", "eager", "none"))) / 2
    assert abs(found / published - 1) < 0.02


def test_results_are_kept_and_added_to(tmp_path: Path) -> None:
    path = tmp_path / "gpu.json"
    Results(path, CPU, 10).add("throughput", "a", {"images_per_s": 2.0})
    again = Results(path, CPU, 10)
    again.add("speedrun", "b", {"best_top1": 90.1})
    assert again.of("throughput") == {"a": {"images_per_s": 2.0}}
    stored = json.loads(path.read_text())
    assert set(stored["parts"]) == {"throughput", "speedrun"}
    assert stored["machine"]["tf32"] == {"cudnn": False, "matmul": False}
    path.write_text(json.dumps({"machine": {"device": "another card"}, "parts": {}}))
    with pytest.raises(RunError, match="results of another machine, another card"):
        Results(path, CPU, 10)
    path.write_text("{}")
    with pytest.raises(RunError, match="no results of this script"):
        Results(path, CPU, 10)


def test_a_call_out_of_time_begins_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(throughput, "measure", lambda *_, **__: {"images_per_s": 1.0})
    few = Results(tmp_path / "gpu.json", CPU, throughput.LONGEST_S - 1)
    throughput.measure_all(few, ("resnet20",), 2, 1, rehearse=False)
    assert not few.of("throughput")
    assert "out of time before resnet20 fp eager none" in capsys.readouterr().out
    many = Results(tmp_path / "gpu.json", CPU, 1000)
    throughput.measure_all(many, ("resnet20",), 2, 1, rehearse=False)
    assert len(many.of("throughput")) == 3 * (1 + 3)


def test_a_case_that_fails_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(throughput, "_stepper", broken)
    results = Results(tmp_path / "gpu.json", CPU, 1000)
    found = throughput.measure(results, Case("resnet20", "bnn", "eager", "none"), 2, 1, rehearse=True)
    assert found == {"error": "RuntimeError: out of memory"}


def arguments(tmp_path: Path, *more: str) -> argparse.Namespace:
    given = [
        "--rehearse",
        "--out",
        str(tmp_path / "gpu.json"),
        "--parts",
        str(tmp_path),
        "--mode",
        "eager",
        *more,
    ]
    return gpu_check.parser().parse_args(given)


def test_a_recipe_goes_on_where_it_was(tmp_path: Path) -> None:
    args = arguments(tmp_path, "--set", "seed=3")
    args.recipes = ["xnor_resnet20"]
    path = gpu_check.ROOT / "configs" / "cifar10" / "xnor_resnet20.yaml"
    experiment = gpu_check._experiment(path, args)
    whole = WholeRun(experiment, CPU, "eager", rehearse=True)
    list(whole.epochs())
    results = Results(args.out, CPU, -1.0)  # no time left after an epoch
    for epochs in (1, 2):
        gpu_check.recipe(results, args)
        assert results.of("recipe")["xnor_resnet20"]["epoch"] == epochs
    found = results.of("recipe")["xnor_resnet20"]
    assert found["finished"]
    assert [point[:2] for point in found["curve"]] == [point[:2] for point in whole.progress.curve]


def test_a_speedrun_tells_when_it_reached_its_target(tmp_path: Path) -> None:
    args = arguments(tmp_path)
    results = Results(args.out, CPU, 1000)
    gpu_check.speedrun(results, args)
    (found,) = results.of("speedrun").values()
    reached = [point for point in found["curve"] if point[1] >= 15.0]
    assert found["seconds_to_target"] == (pytest.approx(reached[0][2], abs=1e-3) if reached else None)


def test_parts_are_gathered(tmp_path: Path) -> None:
    for number, names in enumerate(parts.GROUPS, start=1):
        folder = tmp_path / f"cifar-{number}" / parts.CIFAR
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_bytes(name.encode())
    root = parts.gathered(tmp_path)
    assert (root / parts.CIFAR / "test_batch").read_bytes() == b"test_batch"
    assert parts.gathered(tmp_path) == root
    with pytest.raises(DataError, match="bring part cifar-1, or name the data"):
        parts.gathered(tmp_path / "elsewhere")


def test_a_part_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        gpu_check.main([])
    assert "name a part, or give --rehearse" in capsys.readouterr().err
    if not torch.cuda.is_available():
        assert gpu_check.main(["tests", "--out", "unused.json"]) == 2
        assert "torch finds no CUDA device" in capsys.readouterr().err
