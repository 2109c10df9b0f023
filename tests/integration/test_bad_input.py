"""Bad input through the commands: exit code 2, one sentence per mistake, nothing half-written."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from bnn_train.cli.eval import main as evaluate
from bnn_train.cli.train import main as train
from make_data import WNIDS, write_imagenet
from tiny_yaml import errors, refused, write_config

Capture = pytest.CaptureFixture[str]


# -------------------------------------------------------------------------------- configs

CONFIGS: dict[str, tuple[dict[str, Any], str]] = {
    "a typo in a key": (
        {"training": {"epoch": 2}},
        r"t\.yaml:\d+: training\.epoch: unknown key \(did you mean epochs\?\)",
    ),
    "a typo in a name": (
        {"method": "xnr"},
        r"t\.yaml:1: method: unknown method 'xnr' \(did you mean xnor\?\)",
    ),
    "text for a number": (
        {"training": {"epochs": "2"}},
        r"t\.yaml:\d+: training\.epochs: must be a whole number, not the text '2'",
    ),
    "a number out of range": ({"seed": -1}, r"t\.yaml:\d+: seed: must be at least 0, not -1"),
    "an unknown section": ({"optimiser": "adam"}, r"optimiser: unknown key \(did you mean optimizer\?\)"),
    "bop without stored weights": (
        {"optimizer": {"name": "adam", "binary": "bop"}},
        r"optimizer\.binary: bop flips stored ±1 weights, but method bnn has latent ones",
    ),
    "a network too large for the images": (
        {"model": "alexnet"},
        r"alexnet needs images of 15×15 pixels or more",
    ),
    "a batch larger than the training set": (
        {"data": {"name": "digits", "batch_size": 5000}},
        r"data\.batch_size: no whole batch of 5000 fits into the 1097 training images",
    ),
    "a schedule that rises": (
        {"schedule": {"name": "cosine", "end": 1.0}},
        r"schedule\.end: is above optimizer\.lr \(0\.01\)",
    ),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_configs(case: str, workdir: Path, capsys: Capture) -> None:
    sections, sentence = CONFIGS[case]
    write_config(workdir, **sections)
    assert re.search(sentence, refused(["--config", "t.yaml"], capsys))


def test_all_mistakes_at_once_each_with_its_place(workdir: Path, capsys: Capture) -> None:
    Path("base.yaml").write_text(
        "method: bnn\nmodel: {name: mlp, widht: 4}\ndata: {name: mnist, batch_size: many}\n"
    )
    Path("c.yaml").write_text("extends: base.yaml\nseed: 1.5\nloss: hinge\n")
    said = errors(train, ["--config", "c.yaml", "--set", "training.epoch=3"], capsys)
    places = [
        "base.yaml:2: model.widht:",
        "base.yaml:3: data.batch_size:",
        "c.yaml:2: seed:",
        "c.yaml:3: loss:",
    ]
    places.append("--set training.epoch=3: training.epoch:")
    assert len(said) == len(places)
    for place in places:
        assert [line for line in said if line.startswith(place)], place
    assert sorted(os.listdir()) == ["base.yaml", "c.yaml"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"c\.yaml: no such file"),
        (b"", r"c\.yaml: the file is empty"),
        (b"method: [bnn\n", r"c\.yaml:\d+: not valid YAML"),
        (bytes(range(256)), r"c\.yaml: not UTF-8"),
        (b"- bnn\n", r"c\.yaml:1: a config holds keys"),
        (b"method: bnn\nmethod: bc\nmodel: mlp\ndata: mnist\n", r"c\.yaml:2: .*method"),
        (b"extends: c.yaml\n", r"c\.yaml:1: extends: .*circle"),
        (b"extends: b.yaml\n", r"c\.yaml:1: extends: no such file: b\.yaml"),
        (
            b"method: !!python/object/apply:os.system ['touch canary']\nmodel: mlp\ndata: mnist\n",
            r"c\.yaml:1: ",
        ),
    ],
)
def test_config_files(content: bytes | None, sentence: str, workdir: Path, capsys: Capture) -> None:
    if content is not None:
        Path("c.yaml").write_bytes(content)
    assert re.match(sentence, refused(["--config", "c.yaml"], capsys))


@pytest.mark.parametrize("setting", ["training.epochs", "=3", "a..b=3", "optimizer.lr=[", "seed"])
def test_settings_that_cannot_be_read(setting: str, workdir: Path, capsys: Capture) -> None:
    write_config(workdir)
    said = refused(["--config", "t.yaml", "--set", setting], capsys)
    assert said.startswith(f"--set {setting}: ")


@pytest.mark.parametrize("flag", ["--dry-run", "--print-config"])
def test_a_look_at_a_config_never_goes_on_with_a_run(flag: str, run: Path, capsys: Capture) -> None:
    assert "need --config" in refused([flag, "--resume", str(run), "--set", "training.epochs=9"], capsys)


# ----------------------------------------------------------------------------------- data

MISSING = {
    "mnist": (
        r"MNIST/raw/train-images-idx3-ubyte: no such file",
        r"data\.download .*MNIST/raw under data\.root",
    ),
    "cifar10": (r"cifar-10-batches-py/data_batch_1: no such file", r"unpack cifar-10-python\.tar\.gz"),
    "svhn": (r"train_32x32\.mat: no such file", r"test_32x32\.mat"),
    "imagenet": (r"nowhere: no such folder", r"train/<class>/ and val/<class>/"),
}


@pytest.mark.parametrize("name", MISSING)
def test_missing_data(name: str, workdir: Path, capsys: Capture) -> None:
    data = {"name": name, "root": "nowhere", "batch_size": 16, "validation": {"size": 10}}
    write_config(workdir, data=data)
    said = refused(["--config", "t.yaml"], capsys)
    looked, remedy = MISSING[name]
    assert re.search(looked, said)
    assert str(workdir / "nowhere") in said
    assert re.search(remedy, said)


@pytest.fixture
def folder_run(workdir: Path) -> Path:
    """A run on an image folder of three classes."""
    write_imagenet(workdir / "images")
    data = {"name": "imagenet", "root": "images", "batch_size": 4, "image_size": 8, "workers": 0}
    write_config(workdir, data=data | {"normalize": ["signed"]}, training={"epochs": 1, "select": "last"})
    assert train(["--config", "t.yaml", "--set", "run.dir=run"]) == 0
    return workdir / "run"


def test_a_class_more_than_the_checkpoint_knows(folder_run: Path, workdir: Path, capsys: Capture) -> None:
    for part in ("train", "val"):
        shutil.copytree(workdir / "images" / part / WNIDS[0], workdir / "images" / part / WNIDS[3])
    sentence = "the checkpoint knows 3 classes, the data has 4"
    assert sentence in refused(["--checkpoint", "run"], capsys, evaluate)
    assert sentence in refused(["--resume", "run"], capsys)


def test_a_class_renamed_since(folder_run: Path, workdir: Path, capsys: Capture) -> None:
    for part in ("train", "val"):
        (workdir / "images" / part / WNIDS[0]).rename(workdir / "images" / part / "n09999999")
    said = refused(["--checkpoint", "run"], capsys, evaluate)
    assert f"'{WNIDS[0]}' is now '{WNIDS[1]}'" in said


def test_a_damaged_image(folder_run: Path, workdir: Path, capsys: Capture) -> None:
    broken = workdir / "images" / "val" / WNIDS[1] / f"{WNIDS[1]}_0.JPEG"
    broken.write_bytes(broken.read_bytes()[:300])
    assert f"{broken}: not a readable image" in refused(["--checkpoint", "run"], capsys, evaluate)


# ---------------------------------------------------------------------------- run folders


def test_a_run_below_a_file(workdir: Path, capsys: Capture) -> None:
    write_config(workdir)
    Path("file").write_text("precious")
    for place in ("file", "file/run"):
        said = refused(["--config", "t.yaml", "--set", f"run.dir={place}"], capsys)
        assert said.startswith(f"{place}: cannot be written: Not a directory; choose another folder")


def test_a_run_folder_with_too_long_a_name(workdir: Path, capsys: Capture) -> None:
    write_config(workdir)
    assert "too long" in refused(["--config", "t.yaml", "--set", f"run.dir={'x' * 300}"], capsys)
    assert "too long" in refused(["--resume", "x" * 300], capsys)


def test_a_run_that_is_there_already(run: Path, workdir: Path, capsys: Capture) -> None:
    write_config(workdir)
    assert "run: holds an earlier run" in refused(["--config", "t.yaml", "--set", "run.dir=run"], capsys)


def test_a_run_without_a_finished_epoch(workdir: Path, capsys: Capture) -> None:
    Path("run/checkpoints").mkdir(parents=True)
    assert "run: no finished epoch to evaluate" in refused(["--checkpoint", "run"], capsys, evaluate)
    assert "no usable checkpoint" in errors(train, ["--resume", "run"], capsys)[0]


@pytest.mark.parametrize("where", [["nowhere"], ["t.yaml"], []])
def test_nothing_to_resume(where: list[str], workdir: Path, capsys: Capture) -> None:
    write_config(workdir)
    assert "no run to resume" in refused(["--resume", *where], capsys)


def test_another_config_than_that_of_the_run(run: Path, workdir: Path, capsys: Capture) -> None:
    write_config(workdir)
    arguments = ["--config", "t.yaml", "--resume", "run", "--set", "optimizer.lr=0.5", "--set", "seed=9"]
    said = refused(arguments, capsys)
    assert "optimizer.lr: 0.01 → 0.5" in said
    assert "seed: 3 → 9" in said


def test_a_loss_that_diverges(workdir: Path, capsys: Capture) -> None:
    write_config(workdir, method="fp", optimizer={"name": "sgd", "lr": 1e30}, loss="cross_entropy")
    said = errors(train, ["--config", "t.yaml", "--set", "run.dir=run"], capsys)
    assert len(said) == 1
    assert re.search(r"no longer finite at step \d+ \(epoch 1.*lower optimizer\.lr", said[0])
    assert not list(Path("run/checkpoints").iterdir())
    assert not Path("run/report.json").exists()


def test_more_memory_than_there_is(workdir: Path, capsys: Capture) -> None:
    write_config(workdir, model={"name": "mlp", "width": 10**15, "depth": 2})
    assert "not enough memory" in refused(["--config", "t.yaml", "--set", "run.dir=run"], capsys)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there(run: Path, workdir: Path, capsys: Capture) -> None:
    write_config(workdir)
    assert "no CUDA device" in refused(["--config", "t.yaml", "--set", "run.device=cuda"], capsys)
    assert "no CUDA device" in refused(["--checkpoint", "run", "--device", "cuda"], capsys, evaluate)
