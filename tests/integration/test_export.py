"""``bnn-export`` and what becomes of its file: packed only when proved equal, read back by ``bnn-eval``."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import compare_packed
from bnn_train.cli.eval import main as evaluate
from bnn_train.cli.export import main as export
from bnn_train.cli.export import parser
from bnn_train.cli.train import main as train
from bnn_train.export import parity
from bnn_train.export.truth import truth
from bnn_train.packed import container, load
from commands import ran
from compare_packed import compare
from tiny_yaml import files, refused, write_config

Capture = pytest.CaptureFixture[str]
FAST = ["--no-latency", "--kernel", "reference"]


def exported(run: Path, *more: str, out: str = "model.bnn") -> Path:
    assert export(["--checkpoint", str(run), "--out", out, *FAST, *more]) == 0
    return Path(out)


def test_a_packed_file_scores_as_its_checkpoint(run: Path, capsys: Capture) -> None:
    packed = exported(run)
    said = []
    for arguments in ([str(run)], [str(packed), "--kernel", "reference"]):
        capsys.readouterr()
        assert evaluate(["--checkpoint", *arguments, "--split", "validation"]) == 0
        said.append([line for line in capsys.readouterr().out.splitlines() if "images/s" not in line])
    assert said[0] == said[1]
    assert said[0][-1].startswith("top-1 ")


def test_the_comparison_counts_every_image(
    run: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against itself nothing differs; against a file whose answers are turned around everything does."""
    monkeypatch.setenv("BNN_KERNEL", "reference")
    packed = exported(run)
    seen = compare(run, packed, "validation", None)
    assert (seen.images, seen.same) == (40, 40)
    assert seen.largest == pytest.approx(0, abs=1e-6)
    turned = compare_packed.Comparison()
    logits = np.eye(4, dtype=np.float32)
    turned.add(logits, -logits)
    assert (turned.images, turned.same, turned.equal, turned.largest) == (4, 0, 0, 2.0)


def test_the_report_tells_bytes_parity_and_speed(run: Path, capsys: Capture) -> None:
    capsys.readouterr()
    assert export(["--checkpoint", str(run), "--out", "model.bnn", "--report", "r.json"]) == 0
    text = capsys.readouterr().out
    report = json.loads(Path("r.json").read_text())
    assert report["file_bytes"] == Path("model.bnn").stat().st_size
    assert f"{report['file_bytes']:,} bytes" in text
    tensors = container.read(Path("model.bnn"))[1]
    assert report["tensor_bytes"] == sum(t.nbytes for t in tensors.values())
    assert abs(report["predicted_bytes"] / report["tensor_bytes"] - 1) < 0.01
    assert sum(row["bytes_file"] for row in report["layers"]) == report["tensor_bytes"]
    assert report["parity"]["images"] == 40
    assert "40 images (validation split of synthetic)" in text
    assert re.search(
        r"latency +one image, 1 thread: packed, \w+ [\d.]+ ms, PyTorch as trained [\d.]+ ms", text
    )
    assert set(report["latency_ms"]) == {f"packed, {report['parity']['kernel']}", "PyTorch as trained"}


def test_the_header_tells_where_it_is_from(run: Path) -> None:
    header = load(exported(run), kernel="reference").header
    assert (header.method, header.model) == ("bnn", "mlp")
    assert header.experiment["seed"] == 3
    assert header.images.preprocess == ()
    assert (header.images.height, header.images.width, header.images.channels) == (6, 6, 1)
    assert header.classes == ("0", "1", "2", "3")


def test_the_same_checkpoint_gives_the_same_bytes(run: Path) -> None:
    assert exported(run, out="a.bnn").read_bytes() == exported(run, out="b.bnn").read_bytes()


def test_an_existing_file_is_replaced(run: Path) -> None:
    Path("model.bnn").write_text("old")
    load(exported(run), kernel="reference")
    assert not list(Path().glob(".*tmp"))


def test_a_failed_gate_writes_nothing(run: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("model.bnn").write_text("old")
    monkeypatch.setattr(parity, "truth", lambda meaning, shape, nodes: untrue(meaning, shape, nodes))
    sentence = refused(["--checkpoint", str(run), "--out", "model.bnn", *FAST], capsys, export)
    assert sentence.startswith("linear2 (conv): the packed network differs from the trained one in ")
    assert Path("model.bnn").read_text() == "old"


def untrue(meaning: Any, shape: Any, nodes: Any) -> np.ndarray:
    """The second layer's bits, one of them wrong."""
    value = truth(meaning, shape, nodes)
    if meaning.op.layer == "linear2":
        value = value.copy()
        value.reshape(-1)[0] ^= 2
    return value


def test_logits_that_differ_write_nothing(
    run: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity, "LOGITS", -1.0)
    sentence = refused(["--checkpoint", str(run), "--out", "model.bnn", *FAST], capsys, export)
    assert "logits lie up to" in sentence
    assert not Path("model.bnn").exists()


def test_recorded_images_serve_where_the_data_is_gone(trained_on_digits: Path, capsys: Capture) -> None:
    kept = load_file(trained_on_digits / "parity_images.safetensors")["images"]
    assert kept.dtype == np.uint8
    assert kept.shape == (16, 28, 28, 1)
    capsys.readouterr()
    exported(trained_on_digits)
    assert "16 images (images recorded in the run's folder)" in capsys.readouterr().out


@pytest.fixture
def trained_on_digits(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run on files in MNIST's format, which are gone."""
    from make_data import accept, write_mnist

    write_mnist(workdir / "mnist")
    accept(monkeypatch, workdir / "mnist", "mnist")
    data = {"name": "mnist", "root": "mnist", "batch_size": 4, "train_limit": 4, "validation": {"size": 20}}
    config = write_config(workdir, data=data, training={"epochs": 1})
    assert train(["--config", str(config), "--set", "run.dir=run"]) == 0
    shutil.rmtree("mnist")
    return Path("run")


def test_no_images_at_all(trained_on_digits: Path, capsys: Capture) -> None:
    (trained_on_digits / "parity_images.safetensors").unlink()
    sentence = refused(["--checkpoint", str(trained_on_digits), "--out", "m.bnn"], capsys, export)
    assert "no images to compare the networks on" in sentence
    assert "give --parity-data FOLDER" in sentence


def test_damaged_recorded_images(trained_on_digits: Path, capsys: Capture) -> None:
    (trained_on_digits / "parity_images.safetensors").write_bytes(b"x")
    sentence = refused(["--checkpoint", str(trained_on_digits), "--out", "m.bnn"], capsys, export)
    assert "parity_images.safetensors: damaged or cut short" in sentence


def test_data_that_was_asked_for_and_is_not_there(trained_on_digits: Path, capsys: Capture) -> None:
    arguments = ["--checkpoint", str(trained_on_digits), "--out", "m.bnn", "--parity-data", "nowhere"]
    assert "nowhere" in refused(arguments, capsys, export)


BAD: dict[str, tuple[list[str], str]] = {
    "no run": (["--checkpoint", "nothing", "--out", "m.bnn"], "nothing: no such run or checkpoint"),
    "no folder": (["--checkpoint", "run", "--out", "no/m.bnn"], "does not exist; make it first"),
    "a folder as file": (["--checkpoint", "run", "--out", "run", *FAST], "run: cannot be written"),
    "no kernel": (
        ["--checkpoint", "run", "--out", "m.bnn", "--kernel", "x"],
        "instruction set 'x' does not exist",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_mistakes_are_sentences(case: str, run: Path, capsys: Capture) -> None:
    arguments, sentence = BAD[case]
    assert sentence in refused(arguments, capsys, export)


@pytest.mark.parametrize("option", ["--parity-images", "--threads"])
def test_counts_start_at_one(option: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit, match="2"):
        export(["--checkpoint", "run", "--out", "m.bnn", option, "0"])
    assert f"{option} must be at least 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("former", "name"),
    [("--first", "--first-layer"), ("--last", "--last-layer"), ("--real", "--other-real-layers")],
)
def test_the_options_in_words_and_as_they_were(former: str, name: str) -> None:
    start = ["--checkpoint", "run", "--out", "m.bnn"]
    value = {"--first": "int8"}.get(former, "bf16")
    both = [vars(parser().parse_args([*start, option, value])) for option in (former, name)]
    assert both[0] == both[1] != vars(parser().parse_args(start))


def test_a_loss_is_told(workdir: Path, capsys: Capture) -> None:
    config = write_config(workdir, method="bwn")
    assert train(["--config", str(config), "--set", "run.dir=run"]) == 0
    exported(Path("run"), "--first-layer", "int8", "--last-layer", "int8", "--report", "r.json")
    loss = json.loads(Path("r.json").read_text())["loss"]
    assert loss["largest"] > 0
    assert len(loss["correct"]) == 2
    assert re.search(
        r"options +cost \d+ other answers of 40; \d+ right instead of \d+", capsys.readouterr().out
    )


def test_a_real_network_says_so(workdir: Path, capsys: Capture) -> None:
    config = write_config(workdir, method="fp")
    assert train(["--config", str(config), "--set", "run.dir=run"]) == 0
    capsys.readouterr()
    exported(Path("run"))
    assert "note: nothing in this network is binary" in capsys.readouterr().err


def test_packed_files_take_their_own_options(run: Path, capsys: Capture) -> None:
    packed = exported(run)
    cuda = ["--checkpoint", str(packed), "--device", "cuda"]
    assert "leave out --device cuda" in refused(cuda, capsys, evaluate)
    assert "are for packed files" in refused(["--checkpoint", "run", "--threads", "2"], capsys, evaluate)


def test_a_damaged_packed_file_is_refused(run: Path, capsys: Capture) -> None:
    packed = exported(run)
    content = bytearray(packed.read_bytes())
    content[-5] ^= 1
    packed.write_bytes(content)
    sentence = refused(["--checkpoint", str(packed)], capsys, evaluate)
    assert sentence.startswith("model.bnn: ")


def test_as_a_process(run: Path, workdir: Path, capsys: Capture) -> None:
    done = ran("bnn-export", "--checkpoint", "run", "--out", "m.bnn", *FAST, cwd=workdir)
    assert done.returncode == 0, done.stderr
    assert evaluate(["--checkpoint", "m.bnn", "--kernel", "reference"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("top-1 ")
    assert {"m.bnn", "run"} <= set(files(workdir))
