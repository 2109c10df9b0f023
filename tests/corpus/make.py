"""Checkpoints, packed files and configs of a release, for later releases to read.

``python tests/corpus/make.py FOLDER`` runs the commands of the installed release and keeps of each run
what a user would: its checkpoint, its packed file, its config, and the answers of both to a few digits. The
folders beside this file are never made again: they are what those releases wrote.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

YAML = Path(__file__).parent / "yaml"
IMAGES = 4
COMMON = (
    "data.train_limit=40", "data.test_limit=20", "data.validation.size=20", "data.batch_size=20",
    "training.epochs=1", "run.tensorboard=false", "run.threads=1",
)  # fmt: skip


def command(name: str, *arguments: str, folder: Path) -> None:
    """Run one of the project's commands in ``folder``."""
    subprocess.run([sys.executable, "-m", f"bnn_train.cli.{name}", *arguments], cwd=folder, check=True)


def make(config: Path, out: Path) -> None:
    """Train, export and ask; everything that is kept goes to ``out``."""
    out.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as place:
        folder, run = Path(place), Path(place) / "runs" / config.stem
        settings = [word for pair in COMMON for word in ("--set", pair)]
        where = ["--set", f"run.dir=runs/{config.stem}"]
        command("train", "--config", str(config), *settings, *where, folder=folder)
        command("export", "--checkpoint", f"runs/{config.stem}", "--out", "model.bnn", folder=folder)
        for source in (run / "checkpoints" / "last.safetensors", run / "config.yaml", folder / "model.bnn"):
            shutil.copy(source, out / source.name)
    (out / "answers.json").write_text(json.dumps(answers(out)), encoding="utf-8")


def answers(out: Path) -> dict[str, list[list[float]]]:
    """Logits of the checkpoint and of the packed file for the images of ``pixels``."""
    import torch

    from bnn_train.packed.runtime import load
    from bnn_train.training.restore import model_of, open_checkpoint

    checkpoint, _ = open_checkpoint(out / "last.safetensors")
    model = model_of(checkpoint, torch.device("cpu"))
    images = pixels()
    x = torch.from_numpy(images.transpose(0, 3, 1, 2)).float() * (2 / 255) - 1
    with torch.no_grad():
        trained = model(x.contiguous(memory_format=torch.channels_last))
    packed = load(out / "model.bnn", kernel="reference")(images)
    return {"checkpoint": trained.tolist(), "packed": packed.tolist()}


def pixels() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Images N×8×8×1 that need no generator."""
    ramp = np.sin(np.arange(1, IMAGES * 64 + 1) * 0.37) * 127.5 + 127.5
    return np.asarray(ramp, np.uint8).reshape(IMAGES, 8, 8, 1)


if __name__ == "__main__":
    for config in sorted(YAML.glob("*.yaml")):
        make(config, Path(sys.argv[1]) / config.stem)
