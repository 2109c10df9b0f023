"""Bad checkpoints through the commands: exit code 2, one sentence, nothing executed, nothing changed."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from bnn_train.cli import outputs
from bnn_train.cli.eval import main as evaluate
from bnn_train.cli.train import main as train
from bnn_train.training import checkpoint as ckpt
from tiny_yaml import errors, refused, write_config

Capture = pytest.CaptureFixture[str]


class Canary:
    """Unpickling this leaves a file."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, ("canary",)


def good(run: Path) -> bytes:
    return (run / "checkpoints" / ckpt.BEST).read_bytes()


def pickled(run: Path, path: Path) -> None:
    torch.save({"weights": torch.zeros(3), "canary": Canary()}, path)


def bare_pickle(run: Path, path: Path) -> None:
    path.write_bytes(pickle.dumps(Canary()))


def foreign(run: Path, path: Path) -> None:
    save_file({"w": torch.zeros(3)}, path)


def flipped(run: Path, path: Path) -> None:
    content = bytearray(good(run))
    content[-30] ^= 4
    path.write_bytes(content)


def of_another_state(state: Any) -> Callable[[Path, Path], None]:
    def write(run: Path, path: Path) -> None:
        checkpoint = ckpt.read(run / "checkpoints" / ckpt.BEST)
        ckpt.write(path, ckpt.Checkpoint(checkpoint.tensors, {**checkpoint.state, **state} if state else {}))

    return write


def without_weights(run: Path, path: Path) -> None:
    checkpoint = ckpt.read(run / "checkpoints" / ckpt.BEST)
    tensors = {name: t for name, t in checkpoint.tensors.items() if not name.startswith("model.")}
    ckpt.write(path, ckpt.Checkpoint(tensors, checkpoint.state))


CHECKPOINTS: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "missing": (lambda run, path: None, "no such"),
    "empty": (lambda run, path: path.write_bytes(b""), "damaged, cut short, or not a bnn_train checkpoint"),
    "truncated": (lambda run, path: path.write_bytes(good(run)[:-1]), "damaged, cut short"),
    "cut in its header": (lambda run, path: path.write_bytes(good(run)[:100]), "damaged, cut short"),
    "a bit flipped": (flipped, "do not match their SHA-256"),
    "text": (lambda run, path: path.write_text("model: mlp\n" * 9), "not a bnn_train checkpoint"),
    "foreign safetensors": (foreign, "not a bnn_train checkpoint"),
    "a pickle of torch": (pickled, "not a bnn_train checkpoint"),
    "a bare pickle": (bare_pickle, "not a bnn_train checkpoint"),
    "no state": (of_another_state(None), "state is not what this bnn_train writes"),
    "a config that is none": (of_another_state({"experiment": {"method": "x"}}), "unknown method 'x'"),
    "classes that are none": (of_another_state({"classes": 4}), "classes"),
    "a shape that is none": (of_another_state({"shape": [1]}), "shape"),
    "the shape of other images": (of_another_state({"shape": [1, 7, 7]}), "does not fit the network"),
    "no weights": (without_weights, "does not fit the network"),
}


@pytest.mark.parametrize("case", CHECKPOINTS)
@pytest.mark.parametrize("name", ["model.safetensors", "model.pt", "model.bnn"])
def test_checkpoints_for_evaluation(case: str, name: str, run: Path, capsys: Capture) -> None:
    make, sentence = CHECKPOINTS[case]
    make(run, Path(name))
    assert sentence in refused(["--checkpoint", name], capsys, evaluate)


@pytest.mark.parametrize("case", [case for case in CHECKPOINTS if case != "missing"])
def test_checkpoints_for_resumption(case: str, run: Path, capsys: Capture) -> None:
    """With every checkpoint of the run replaced."""
    make, sentence = CHECKPOINTS[case]
    make(run, Path("bad"))
    for path in (run / "checkpoints").iterdir():
        path.unlink()
        shutil.copy("bad", path)
    before = {path: path.read_bytes() for path in (run / "checkpoints").iterdir()}
    said = errors(train, ["--resume", "run"], capsys)
    assert len(said) == 1
    assert sentence in said[0]
    assert {path: path.read_bytes() for path in (run / "checkpoints").iterdir()} == before
    assert not Path("canary").exists()


def test_progress_that_is_none(run: Path, capsys: Capture) -> None:
    of_another_state({"progress": {"step": "far"}})(run, Path("bad"))
    for path in (run / "checkpoints").iterdir():
        shutil.copy("bad", path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)
    assert "progress is damaged (step: " in errors(train, ["--resume", "run"], capsys)[0]


def test_a_split_without_images(run: Path, workdir: Path, capsys: Capture) -> None:
    settings = ["--set", "data.validation.size=0", "--set", "training.select=last", "--set", "run.dir=none"]
    assert train(["--config", str(write_config(workdir)), *settings]) == 0
    assert "holds no images" in refused(["--checkpoint", "none", "--split", "validation"], capsys, evaluate)


def test_a_result_that_cannot_be_written(
    run: Path, workdir: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The evaluation may have taken hours, so its number is printed before the place fails."""
    monkeypatch.setattr(outputs, "check", lambda *_: None)
    for place in ("t.yaml/out.json", "."):
        write_config(workdir)
        assert evaluate(["--checkpoint", "run", "--json", place]) == 2
        told = capsys.readouterr()
        assert f"error: {place}: cannot be written" in told.err
        assert told.out.splitlines()[-1].startswith("top-1 ")
