"""The guide on images of one's own, followed: its configs and commands in their order, on tiny photos."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from bnn_train.cli import eval as cli_eval
from bnn_train.cli import export as cli_export
from bnn_train.cli import predict as cli_predict
from bnn_train.cli import train as cli_train
from own_photos import TINY, photos
from tiny_yaml import Command, errors

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "configs/OWN_IMAGES.md").read_text(encoding="utf-8")
COMMANDS: dict[str, Command] = {
    "bnn-train": cli_train.main,
    "bnn-eval": cli_eval.main,
    "bnn-export": cli_export.main,
    "bnn-predict": cli_predict.main,
}


def shrunk(block: str) -> str:
    """A config of the guide, for a small dense network, images of 8 pixels and two epochs."""
    config = yaml.safe_load(block)
    config["model"] = {"name": "mlp", "width": 8}
    config["data"] |= TINY
    config["training"]["epochs"] = 2
    config["run"] |= {"tensorboard": False, "threads": 1}
    return yaml.safe_dump(config)


def test_the_guide(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos(workdir / "photos", ("cat", "dog", "owl"), {"train": 8, "val": 2, "test": 3})
    photos(workdir / "few_photos", ("bus", "tram"), {"": 8})
    shutil.copytree(ROOT / "configs" / "folder", "folder")
    names = re.findall(r"`(\w+\.yaml)`:\n\n```yaml\n(.*?)```", GUIDE, re.DOTALL)
    assert [name for name, _ in names] == ["photos.yaml", "few.yaml"]
    for name, block in names:
        Path(name).write_text(shrunk(block), encoding="utf-8")
    said = {}
    for line in re.findall(r"^bnn-.*", GUIDE, re.MULTILINE):
        command, *arguments = line.split()
        if "--check" in arguments:  # ten seconds, and two epochs on a dozen images are no training to judge
            continue
        assert COMMANDS[command](arguments) == 0, line
        said[line] = "".join(capsys.readouterr())
    assert len(Path("found.csv").read_text().splitlines()) == 1 + 9
    (lines,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    exec(lines, {})
    assert len(capsys.readouterr().out.splitlines()) == 6
    assert ", 3 classes" in said["bnn-train --config photos.yaml --dry-run"]
    assert (
        "train 24, validation 6, test 9, of cat, dog, owl" in said["bnn-train --config photos.yaml --dry-run"]
    )
    assert "top-5" not in "".join(said.values())
    few = said["bnn-train --config few.yaml"]
    assert "runs/photos" in few
    assert "4 of 16" in few or "(20% of each class)" in few
    assert json.loads(Path("runs/few/report.json").read_text())["classes"] == ["bus", "tram"]


def test_a_run_goes_on_with_the_parts_it_began_with(
    workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder test/ that appears after the start changes nothing; its statistics stay, too."""
    photos(workdir / "photos", ("cat", "dog"), {"train": 10})
    data = {"name": "folder", "root": "photos", **TINY}
    sections = {"method": "bnn", "model": {"name": "mlp", "width": 8}, "data": data}
    run = {"dir": "run", "tensorboard": False}
    Path("t.yaml").write_text(yaml.safe_dump({**sections, "training": {"epochs": 1}, "run": run}))
    assert cli_train.main(["--config", "t.yaml"]) == 0
    begun = yaml.safe_load(Path("run/config.yaml").read_text())["data"]
    photos(workdir / "photos", ("cat", "dog"), {"test": 3})
    assert cli_train.main(["--config", "t.yaml", "--resume", "--set", "training.epochs=2"]) == 0
    after = yaml.safe_load(Path("run/config.yaml").read_text())["data"]
    assert (after["found"], after["statistics"]) == (begun["found"], begun["statistics"])
    assert json.loads(Path("run/report.json").read_text())["total"] == 4
    capsys.readouterr()
    shutil.rmtree("photos/train/dog")
    said = errors(cli_train.main, ["--config", "t.yaml", "--set", "run.dir=other"], capsys)
    assert "photos/test has dog" in said[0].replace(str(workdir) + "/", "")
