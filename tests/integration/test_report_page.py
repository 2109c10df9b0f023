"""bnn-report: the page of a run and a comparison, and what they are made of."""

from __future__ import annotations

import json
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from bnn_train.cli.eval import main as evaluate
from bnn_train.cli.report import main as report
from bnn_train.report.metrics import read_metrics
from bnn_train.report.mistakes import read_mistakes
from bnn_train.report.predictions import read_predictions
from chromium import visit

SECTIONS = ["curves", "flips", "latents", "confusion", "mistakes", "filters", "layers", "packed", "setting"]


class _Page(HTMLParser):
    """Ids of the sections, and every address that a tag names."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sections: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.ids += [value for name, value in attributes if name == "id" and value]
        if tag == "section":
            self.sections.append(found["id"] or "")
        self.addresses += [
            value for name, value in attributes if name in ("src", "href", "xlink:href") and value
        ]


@pytest.fixture(scope="module")
def page(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the trained run."""
    pytest.importorskip("matplotlib")
    folder = tmp_path_factory.mktemp("page")
    run = folder / "run"
    shutil.copytree(trained, run)
    plots = [word for ending in ("svg", "png") for word in (f"--{ending}", str(folder / ending))]
    assert report([str(run), *plots]) == 0
    return run / "report.html"


def test_every_section_is_there_and_nothing_from_elsewhere(page: Path) -> None:
    text = page.read_text()
    found = _Page(text)
    assert found.sections == SECTIONS
    assert [at for at in found.addresses if not at.startswith(("#", "data:"))] == []
    assert len(found.ids) == len(set(found.ids))
    assert not re.findall(r"url\((?!#)", text)


def test_the_numbers_are_those_of_the_run(page: Path) -> None:
    result = json.loads((page.parent / "report.json").read_text())
    text = page.read_text()
    assert f"<b>{result['top1']:.2f} %</b>" in text
    for row in result["layers"]:
        assert f"<td>{row['name']}</td>" in text
    counted = [int(n) for n in re.findall(r"<td[^>]*--share[^>]*>(\d+)</td>", text)]
    assert sum(counted) == result["total"]


def test_a_browser_opens_it_in_silence(page: Path, tmp_path: Path) -> None:
    seen = visit(page, tmp_path)
    assert seen.console == []
    assert seen.requests == []
    assert _Page(seen.dom).sections == SECTIONS


def test_the_instrument_hears(tmp_path: Path) -> None:
    loud = tmp_path / "loud.html"
    loud.write_text("<img src='http://127.0.0.1:9/x.png'><script>undefinedFunction()</script>")
    seen = visit(loud, tmp_path)
    assert seen.requests == ["http://127.0.0.1:9/x.png"]
    assert any("undefinedFunction" in line for line in seen.console)


def test_plots_as_files(page: Path) -> None:
    folder = page.parent.parent
    names = {path.stem for path in (folder / "svg").iterdir()}
    assert {"loss", "error", "flip_rate", "confusion"} <= names
    assert {path.stem for path in (folder / "png").iterdir()} == names
    assert "var(--" not in (folder / "svg" / "loss.svg").read_text()


def test_predictions_are_those_that_were_counted(run: Path) -> None:
    result = json.loads((run / "report.json").read_text())
    predictions = read_predictions(run)
    assert predictions is not None
    classes = result["classes"]
    counts = np.zeros((len(classes), len(classes)), int)
    for one in predictions:
        counts[classes.index(one.label), classes.index(one.answer)] += 1
        assert (one.margin < 0) <= (not one.is_right)
    assert counts.tolist() == result["confusion"]
    kept = read_mistakes(run, predictions)
    assert kept is not None
    assert [one.prediction.margin for one in kept] == sorted(p.margin for p in predictions if not p.is_right)[
        : len(kept)
    ]


def test_a_run_without_them_is_evaluated_anew(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    assert report(["run", "--out", "a.html", "--no-packed"]) == 0
    for name in ("predictions.csv", "mistakes.safetensors"):
        (run / name).unlink()
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert report(["run", "--out", "b.html", "--no-packed"]) == 0
    assert Path("a.html").read_text() == Path("b.html").read_text()
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert evaluate(["--checkpoint", "run"]) == 0
    assert "Traceback" not in capsys.readouterr().err


def test_an_unfinished_run_has_its_curves(run: Path) -> None:
    pytest.importorskip("matplotlib")
    (run / "report.json").unlink()
    assert report(["run", "--no-packed"]) == 0
    found = _Page((run / "report.html").read_text())
    assert found.sections == ["curves", "flips", "latents", "filters", "setting"]


def test_a_comparison_is_sorted_and_overlaid(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    shutil.copytree(run, "worse")
    result = json.loads(Path("worse/report.json").read_text())
    result["top1"] /= 2
    Path("worse/report.json").write_text(json.dumps(result))
    config = Path("worse/config.yaml").read_text()
    Path("worse/config.yaml").write_text(re.sub(r"^seed: \d+", "seed: 77", config, flags=re.MULTILINE))
    assert report(["worse", "run"]) == 0
    text = Path("comparison.html").read_text()
    assert text.index("<td>run</td>") < text.index("<td>worse</td>")
    assert "<td>seed</td>" in text
    assert _Page(text).sections == ["results", "curves", "differences"]
    assert report(["worse", "run", "--text"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert next(
        i for i, line in enumerate(lines) if line.startswith("run ") and "interval" not in line
    ) < next(i for i, line in enumerate(lines) if line.startswith("worse"))
    assert any(line.startswith("seed") and "77" in line for line in lines)


def test_text_takes_no_matplotlib(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert report(["run", "--text"]) == 0
    result = json.loads((run / "report.json").read_text())
    assert f"top-1 {result['top1']:.2f} % of {result['total']} test images" in capsys.readouterr().out
    assert report(["run"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: matplotlib is missing")
    assert not (run / "report.html").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "nowhere: no such run"),
        (["."], "no run folder"),
        (["run", "run"], "named twice"),
        (["run", "run/../run"], "named twice"),
        (["run", "--out", "nowhere/x.html"], "does not exist"),
        (["run", "--svg", "run/config.yaml"], "cannot be made"),
    ],
)
def test_mistakes_are_told(
    words: list[str], told: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(words) == 2
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("name", ["report.json", "predictions.csv", "mistakes.safetensors"])
def test_damaged_files_are_told(name: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    (run / name).write_bytes(b"{")
    assert report(["run", "--no-packed"]) == 2
    assert capsys.readouterr().err.startswith(f"error: run/{name}: ")


def test_histograms_count_every_weight(run: Path) -> None:
    told = [entry for entry in read_metrics(run / "metrics.jsonl") if entry["event"] == "latents"]
    layers = {row["name"]: row for row in json.loads((run / "report.json").read_text())["layers"]}
    assert [entry["epoch"] for entry in told] == [1, 2]
    for entry in told:
        for name, counts in entry["counts"].items():
            assert sum(counts) == layers[name]["params_binary"]
            assert entry["edges"][name] > 0
