"""``bnn-predict`` and its five lines of Python: checkpoints and packed files give the same answers."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from bnn_train.cli import export, train
from bnn_train.cli.predict import main
from bnn_train.errors import BnnError
from bnn_train.prediction import classifier, predict
from own_photos import TINY, photos
from tiny_yaml import errors

CLASSES = ("cat", "dog", "owl")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of photos, a run on them in run/, and its packed file m.bnn."""
    root = tmp_path_factory.mktemp("predict")
    photos(root / "photos", CLASSES, {"train": 8, "test": 4})
    config = {
        "method": "bnn",
        "model": {"name": "mlp", "width": 16},
        "data": {"name": "folder", "root": str(root / "photos"), **TINY},
        "training": {"epochs": 3},
        "run": {"dir": str(root / "run"), "tensorboard": False, "threads": 1},
    }
    (root / "t.yaml").write_text(yaml.safe_dump(config))
    assert train.main(["--config", str(root / "t.yaml")]) == 0
    assert export.main(["--checkpoint", str(root / "run"), "--out", str(root / "m.bnn")]) == 0
    return root


def told(place: Path, name: str, *arguments: object, out: str = "found.json") -> list[dict[str, object]]:
    words = [place / name, *arguments, "--out", place / out]
    assert main([str(word) for word in words]) == 0
    found: list[dict[str, object]] = json.loads((place / out).read_text())
    return found


def test_a_checkpoint_and_its_packed_file_agree(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With each other, with the report on the test set, and with the softmax of the logits written out."""
    trained, packed = (told(place, name, place / "photos/test", "--top", 3) for name in ("run", "m.bnn"))
    assert [(p["path"], [t["label"] for t in p["top"]]) for p in trained] == [  # type: ignore[attr-defined]
        (p["path"], [t["label"] for t in p["top"]])  # type: ignore[attr-defined]
        for p in packed
    ]
    assert [p["path"] for p in packed] == sorted(map(str, (place / "photos/test").rglob("*.png")))
    report = json.loads((place / "run/report.json").read_text())
    right = sum(Path(str(p["path"])).parent.name == p["top"][0]["label"] for p in packed)  # type: ignore[index]
    assert right == report["correct"]
    assert f"right: {right} of 12 (" in capsys.readouterr().err
    top = packed[0]["top"]
    logits = np.array([t["logit"] for t in top])  # type: ignore[attr-defined]
    powers = np.exp(logits - logits.max())
    assert [t["share"] for t in top] == pytest.approx(powers / powers.sum())  # type: ignore[attr-defined]
    assert sorted(logits, reverse=True) == logits.tolist()


def test_five_lines(place: Path) -> None:
    model = classifier(place / "m.bnn")
    file = place / "photos/test/cat/0.png"
    (one,) = predict(model, file)
    assert one.labels == tuple(dict.fromkeys(one.labels))
    assert (one.path, len(one.labels), one.label) == (file, 3, one.labels[0])
    assert [p.path for p in predict(model, [file, place / "photos/test/dog"])][:2] == [
        file,
        place / "photos/test/dog/0.png",
    ]
    assert model.classes == CLASSES
    assert classifier(str(place / "run")).images == model.images
    with pytest.raises(BnnError, match="nowhere: no such image or folder"):
        predict(model, place / "nowhere")


def test_table_and_csv(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = place / "bad.png"
    bad.write_bytes(b"\x89PNG\r\n")
    folder = str(place / "photos/test/owl")
    assert main([str(place / "m.bnn"), folder, str(bad), "--top", "2"]) == 2
    out, err = capsys.readouterr()
    head, rule, *rows = out.splitlines()
    assert head.split() == ["image", "1.", "%", "2.", "%"]
    assert rule == "─" * len(rule)
    assert len(rows) == 5
    assert rows[-1].split() == [str(bad), "unreadable"]
    assert f"error: {bad}: not a readable image" in err
    assert main([str(place / "m.bnn"), folder, "--format", "csv", "--top", "1"]) == 0
    lines = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [Path(line["path"]).name for line in lines] == [f"{i}.png" for i in range(4)]
    assert all(line["label_1"] in CLASSES and 0 < float(line["share_1"]) <= 1 for line in lines)


def test_another_size_of_image(place: Path, workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model of MNIST's kind takes its own size alone, unless it may cut."""
    config = {
        "method": "bnn",
        "model": {"name": "mlp", "width": 8},
        "data": {"name": "synthetic", "shape": [1, 8, 8], "train_limit": 100},
        "training": {"epochs": 1},
        "run": {"dir": "run", "tensorboard": False},
    }
    Path("t.yaml").write_text(yaml.safe_dump(config))
    assert train.main(["--config", "t.yaml"]) == 0
    photo = str(place / "photos/test/cat/0.png")
    capsys.readouterr()
    assert main(["run", photo]) == 2
    assert "40×34 pixels; the model wants 8×8" in capsys.readouterr().err
    Image.new("L", (8, 8)).save("right.png")
    assert main(["run", "right.png"]) == 0
    assert main(["run", photo, "--fit"]) == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["none.bnn", "a.png"], "none.bnn: no such run or checkpoint"),
        (["{m}", "none.png"], "none.png: no such image or folder"),
        (["{t}", "none.png"], "is a config, not a checkpoint"),
        (["{m}", "{photos}", "--out", "a.csv", "--format", "json"], "does not go with this ending"),
        (["{m}", "{photos}", "--out", "none/a.csv"], "does not exist; make it first"),
        (["{run}", "{photos}", "--threads", "2"], "are chosen for packed files"),
        (["{m}", "{photos}", "--device", "cuda"], "a packed file runs on the CPU"),
        (["{m}", "empty"], "empty: no image (.jpg"),
    ],
)
def test_mistakes(
    arguments: list[str], sentence: str, place: Path, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty").mkdir()
    names = {
        "m": place / "m.bnn",
        "t": place / "t.yaml",
        "run": place / "run",
        "photos": place / "photos/test",
    }
    said = errors(main, [word.format(**names) for word in arguments], capsys, begun=False)
    assert sentence in said[0]


def test_a_packed_file_needs_no_torch(place: Path) -> None:
    code = (
        "import sys; from bnn_train.cli.predict import main\n"
        f"assert main([{str(place / 'm.bnn')!r}, {str(place / 'photos/test/cat')!r}]) == 0\n"
        "assert not {'torch', 'torchvision'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
