"""report.json and report.md of a finished run."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bnn_train.config.schema import Experiment
from bnn_train.errors import RunError
from bnn_train.inspect.evaluation import Evaluation, wilson
from bnn_train.inspect.layers import LayerRow
from bnn_train.report.markdown import sparkline
from bnn_train.report.top1 import build_report, write_report

LAYERS = [
    LayerRow(name="conv1", kind="Conv2d", params_real=100, macs_real=1000, bytes=400, bytes_real=400),
    LayerRow(
        name="conv2",
        kind="BinaryConv2d",
        params_binary=800,
        bits=1,
        macs_binary=8000,
        bytes=100,
        bytes_real=3200,
    ),
    LayerRow(
        name="fc", kind="BinaryLinear", params_binary=80, bits=1, macs_mixed=1000, bytes=10, bytes_real=320
    ),
]
KEYS = {"top1", "top5", "top1_interval", "top5_interval", "correct", "total", "per_class", "confusion"} | {
    *("selection", "best_epoch", "epochs", "history", "wall_time_s", "images_per_s", "parameters", "macs"),
    *("bytes", "config", "seed", "versions", "classes"),
}


def experiment(**sections: Any) -> Experiment:
    config = {"method": "xnor", "model": "resnet20", "data": "cifar10", "seed": 3, **sections}
    return Experiment.model_validate(config)


def evaluation(classes: int = 3) -> Evaluation:
    """Class 0: 8 of 10, class 1: 9 of 10, then all of 10; one image more got NaN."""
    confusion = torch.eye(classes, dtype=torch.int64) * 10
    confusion[0, 0], confusion[0, 1] = 8, 2
    confusion[1, 1], confusion[1, 2] = 9, 1
    unscored = torch.zeros(classes, dtype=torch.int64)
    unscored[1] = 1
    n = 10 * classes
    return Evaluation(confusion=confusion, top5_correct=n, total=n + 1, loss=0.5, unscored=unscored)


def history(epochs: int) -> list[dict[str, Any]]:
    same = {"lr": 0.1, "train_top1": 50.0, "flip_rate": 0.0123}
    numbers = range(1, epochs + 1)
    return [{"epoch": e, "train_loss": 1 / e, "validation_top1": 60 + e / 100, **same} for e in numbers]


def report(*, classes: int = 3, epochs: int = 4, **sections: Any) -> dict[str, Any]:
    return build_report(
        experiment=experiment(**sections),
        evaluation=evaluation(classes),
        classes=[f"class{i}" for i in range(classes)],
        layers=LAYERS,
        history=history(epochs),
        best_epoch=3,
        wall_time_s=3723.0,
        images_per_s=1234.5,
        versions={"torch": "2.x"},
    )


def written(tmp_path: Path, **options: Any) -> tuple[dict[str, Any], str]:
    write_report(tmp_path, report(**options))
    return json.loads((tmp_path / "report.json").read_text()), (tmp_path / "report.md").read_text()


def test_the_json_file_holds_the_report(tmp_path: Path) -> None:
    data, _ = written(tmp_path)
    assert data == report()
    assert set(data) >= KEYS
    assert data["top1"] == 100 * 27 / 31
    assert data["top5"] == 100 * 30 / 31
    assert data["top1_interval"] == list(wilson(27, 31))
    assert data["top5_interval"] == list(wilson(30, 31))
    assert (data["correct"], data["total"], data["unscored"]) == (27, 31, 1)
    assert data["per_class"][1] == {"class": "class1", "correct": 9, "total": 11, "top1": 100 * 9 / 11}
    assert data["confusion"] == [[8, 2, 0], [0, 9, 1], [0, 0, 10]]
    assert data["parameters"] == {"binary": 880, "real": 100}
    assert data["macs"] == {"binary": 8000, "mixed": 1000, "real": 1000}
    assert (data["bytes"], data["bytes_real"]) == (510, 3920)
    assert (data["best_epoch"], data["epochs"], data["seed"]) == (3, 4, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json", "report.md"]


def test_the_config_builds_the_experiment_again(tmp_path: Path) -> None:
    data, _ = written(tmp_path)
    assert Experiment.model_validate(data["config"]) == experiment()


def test_a_matrix_reads_as_a_matrix(tmp_path: Path) -> None:
    write_report(tmp_path, report())
    assert "    [8, 2, 0],\n    [0, 9, 1],\n" in (tmp_path / "report.json").read_text()


def test_what_a_person_reads_first(tmp_path: Path) -> None:
    _, text = written(tmp_path)
    low, high = wilson(27, 31)
    assert text.startswith("# xnor resnet20 on cifar10: top-1 87.10 %\n")
    assert f"95 % interval {low:.2f}–{high:.2f} %: 27 of 31 test images" in text
    assert "best on the validation split; the test set was read once, at the end (epoch 3 of 4)" in text
    assert "NaN for an answer, counted as wrong: 1\n" in text
    assert "| MACs per image, quantized × quantized | 8,000 (80.00 %) |" in text
    assert "| bytes, 32-bit | 3,920 (7.7×) |" in text
    assert "4 epochs in 1 h 02 min, 1,234 images/s" in text
    assert "- seed 3\n- torch 2.x" in text
    assert "| class1 | 9 | 11 | 81.82 |" in text
    assert "| class0 | 8 | 2 | 0 |" in text
    assert "| **3** | 0.3333 | 50.00 | 60.03 | 1.230 | 0.1 |" in text
    assert "published" not in text
    assert "```yaml\nmethod:\n  name: xnor\n" in text


def test_selection_on_the_test_set_is_said_plainly(tmp_path: Path) -> None:
    data, text = written(tmp_path, training={"select": "test"})
    assert data["selection"] == "test"
    assert "best on the test set itself, so the number is optimistic" in text
    assert "> **The epoch was chosen on the test set" in text
    assert "chosen on the test set" not in written(tmp_path, training={"select": "last"})[1]


def test_trials_on_fewer_images_are_said(tmp_path: Path) -> None:
    _, text = written(tmp_path, data={"name": "cifar10", "test_limit": 1000, "train_limit": 20000})
    assert "Only the first 1,000 test images" in text
    assert "first 20,000 training images" in text


def test_the_published_number_stands_beside(tmp_path: Path) -> None:
    reference = {"paper": "Somebody (2016)", "table": "Table 2", "top1": 88.0}
    data, text = written(tmp_path, reference=reference)
    assert data["reference"] == {
        "top1": 88.0,
        "difference": pytest.approx(100 * 27 / 31 - 88),
        "band": None,
        "inside": None,
        "paper": "Somebody (2016)",
        "table": "Table 2",
    }
    assert "- published: 88.00 % (Somebody (2016), Table 2); here −0.90 points" in text


@pytest.mark.parametrize(("band", "inside"), [(0.9, False), (1.0, True)])
def test_a_band_is_judged(tmp_path: Path, band: float, inside: bool) -> None:
    data, text = written(tmp_path, reference={"top1": 88.0, "band": band})
    assert data["reference"]["inside"] is inside
    assert f"here −0.90 points, {'inside' if inside else 'outside'} the published band of ±{band:g}" in text


def test_the_edge_of_a_band_belongs_to_it(tmp_path: Path) -> None:
    """99.01 − 98.81 is 0.20000000000000284 in floats."""
    exact = 100 * 27 / 31
    data, _ = written(tmp_path, reference={"top1": exact - 0.2, "band": 0.2})
    assert data["reference"]["inside"] is True


def test_many_classes_have_no_printed_matrix(tmp_path: Path) -> None:
    data, text = written(tmp_path, classes=21)
    assert "## Confusion" not in text
    assert len(data["confusion"]) == 21
    assert "## Confusion" in written(tmp_path, classes=20)[1]


def test_a_long_run_shows_some_epochs_the_best_and_the_last(tmp_path: Path) -> None:
    _, text = written(tmp_path, epochs=500)
    epochs = [
        line.split("|")[1].strip()
        for line in text.split("## Epochs")[1].split("##")[0].splitlines()
        if "|" in line
    ]
    assert epochs[2:6] == ["1", "**3**", "18", "35"]
    assert epochs[-1] == "500"
    assert len(epochs) < 40


def test_names_do_not_break_the_tables(tmp_path: Path) -> None:
    value = report()
    value["per_class"][0]["class"] = "a|b\nc"
    write_report(tmp_path, value)
    assert "| a\\|b c | 8 | 10 | 80.00 |" in (tmp_path / "report.md").read_text()


def test_a_report_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def noted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            calls.append(name)
            return real(*arguments)

        return call

    monkeypatch.setattr(Path, "replace", noted("rename", Path.replace))
    monkeypatch.setattr(os, "fsync", noted("sync", os.fsync))
    write_report(tmp_path, report())
    assert calls == ["sync", "rename", "sync"] * 2


def test_a_report_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "report.json").mkdir()
    with pytest.raises(RunError, match=r"report\.json: cannot be written: "):
        write_report(tmp_path, report())
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_infinite_losses_become_null() -> None:
    value = evaluation()
    diverged = Evaluation(
        confusion=value.confusion, top5_correct=30, total=31, loss=math.inf, unscored=value.unscored
    )
    built = build_report(
        experiment=experiment(),
        evaluation=diverged,
        classes=["a", "b", "c"],
        layers=[],
        history=[],
        best_epoch=0,
        wall_time_s=0.0,
        images_per_s=0.0,
        versions={},
    )
    assert built["loss"] is None


@pytest.mark.parametrize(
    ("curve", "bars"),
    [([0, 7], "▁█"), ([5, 5, 5], "▁▁▁"), ([1, None, 2], "▁ █"), (list(range(8)), "▁▂▃▄▅▆▇█")],
)
def test_sparkline(curve: list[float | None], bars: str) -> None:
    assert sparkline(curve) == bars


def test_a_long_sparkline_is_thinned() -> None:
    assert len(sparkline([float(i) for i in range(500)])) == 60
