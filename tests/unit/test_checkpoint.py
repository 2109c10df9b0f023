"""Checkpoints: round trip, digests, atomic writing, fall-back, and refusals in a sentence."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from bnn_train.errors import CheckpointError, RunError
from bnn_train.files import NO_LINKS
from bnn_train.training import checkpoint as ckpt
from bnn_train.training.checkpoint import Checkpoint, newest, read, write


def sample(step: int = 3) -> Checkpoint:
    tensors = {
        "model.w": torch.arange(24.0).view(2, 3, 2, 2).to(memory_format=torch.channels_last),
        "model.n": torch.tensor(7),
        "ema.module.w": torch.ones(2),
        "signs.w": torch.tensor([1, 255], dtype=torch.uint8),
    }
    return Checkpoint(tensors, {"progress": {"step": step}, "classes": ["a", "b"], "pi": 3.141592653589793})


def test_round_trip(tmp_path: Path) -> None:
    write(tmp_path / "c.safetensors", sample())
    got = read(tmp_path / "c.safetensors")
    assert got.state == sample().state
    assert got.tensors.keys() == sample().tensors.keys()
    for name, tensor in sample().tensors.items():
        assert torch.equal(got.tensors[name], tensor)
        assert got.tensors[name].dtype == tensor.dtype
    assert got.section("model").keys() == {"w", "n"}
    assert got.section("ema.module").keys() == {"w"}


def test_every_flipped_bit_and_every_truncation_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    write(path, sample())
    good = path.read_bytes()
    for position in range(len(good)):
        damaged = bytearray(good)
        damaged[position] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        try:
            got = read(path)
        except CheckpointError:
            continue
        assert got.state == sample().state, f"byte {position} changed the state unnoticed"
        assert all(torch.equal(got.tensors[n], t) for n, t in sample().tensors.items()), f"byte {position}"
    for length in range(0, len(good), 7):
        path.write_bytes(good[:length])
        with pytest.raises(CheckpointError):
            read(path)


def test_foreign_files_are_refused_and_never_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "evil.pt"
    canary = tmp_path / "canary"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (os.mkdir, (str(canary),))

    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(CheckpointError, match="not a bnn_train checkpoint"):
        read(path)
    torch.save({"w": torch.ones(2)}, path)
    with pytest.raises(CheckpointError, match="not a bnn_train checkpoint"):
        read(path)
    assert not canary.exists()
    save_file({"w": torch.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="safetensors file, but not a bnn_train checkpoint"):
        read(tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        read(tmp_path / "missing.safetensors")


def test_another_version_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ckpt, "VERSION", 99)
    write(tmp_path / "c.safetensors", sample())
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="format 99, this bnn_train reads 1"):
        read(tmp_path / "c.safetensors")


def test_a_failed_write_leaves_the_old_file_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.safetensors"
    write(path, sample(1))

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    for name in ("replace", "fsync"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, full)
            with pytest.raises(RunError, match="No space left"):
                write(path, sample(2))
        assert read(path).state["progress"]["step"] == 1
        assert [p.name for p in tmp_path.iterdir()] == ["last.safetensors"]


def noted(calls: list[str], name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    """The function, telling of each of its calls."""

    def call(*arguments: Any) -> Any:
        calls.append(name)
        return real(*arguments)

    return call


def test_order_of_sync_and_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(os, "replace", noted(calls, "rename", os.replace))
    monkeypatch.setattr(os, "fsync", noted(calls, "sync", os.fsync))
    write(tmp_path / "c.safetensors", sample())
    assert calls == ["sync", "rename", "sync"]


def test_newest_falls_back_and_says_what_it_passed_over(tmp_path: Path) -> None:
    write(tmp_path / ckpt.BEST, sample(1))
    write(tmp_path / ckpt.PREVIOUS, sample(2))
    write(tmp_path / ckpt.LAST, sample(3))
    assert newest(tmp_path)[0].state["progress"]["step"] == 3
    (tmp_path / ckpt.LAST).write_bytes((tmp_path / ckpt.LAST).read_bytes()[:-1])
    got, skipped = newest(tmp_path)
    assert got.state["progress"]["step"] == 2
    assert len(skipped) == 1
    assert "last.safetensors" in skipped[0]
    (tmp_path / ckpt.PREVIOUS).write_text("")
    (tmp_path / ckpt.BEST).write_text("")
    with pytest.raises(CheckpointError, match="no usable checkpoint"):
        newest(tmp_path)


def test_link_replaces_without_copying(tmp_path: Path) -> None:
    write(tmp_path / "a", sample(1))
    write(tmp_path / "b", sample(2))
    ckpt.link(tmp_path / "a", tmp_path / "b")
    assert os.path.samefile(tmp_path / "a", tmp_path / "b")
    write(tmp_path / "a", sample(3))
    assert read(tmp_path / "b").state["progress"]["step"] == 1


@pytest.mark.parametrize("number", NO_LINKS)
def test_a_disk_without_links(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy then; any other failure is told."""

    def refuses(*args: object) -> None:
        raise OSError(number, os.strerror(number))

    write(tmp_path / "a", sample(1))
    write(tmp_path / "b", sample(2))
    monkeypatch.setattr(os, "link", refuses)
    ckpt.link(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == (tmp_path / "a").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]
    number = 5
    with pytest.raises(RunError, match=r"cannot link it to a: .*Input/output error"):
        ckpt.link(tmp_path / "a", tmp_path / "b")


def test_the_file_holds_no_pickle(tmp_path: Path) -> None:
    write(tmp_path / "c.safetensors", sample())
    raw = (tmp_path / "c.safetensors").read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    assert header["__metadata__"]["format"] == "bnn_train checkpoint"
    assert b"PK\x03\x04" not in raw
    assert b"\x80\x04" not in raw[:16]
