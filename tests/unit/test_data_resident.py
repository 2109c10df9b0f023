"""Images that stay in memory: the same batches, and nothing is read a second time."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bnn_train.config.schema import Data
from bnn_train.data import resident
from bnn_train.data.open import DataBundle, open_data
from bnn_train.data.resident import Kept, free_memory, has_room
from bnn_train.data.sources import TensorSource
from bnn_train.errors import BnnError
from make_data import write_imagenet

CPU, META = torch.device("cpu"), torch.device("meta")
PICTURES = 12 * 3 * 14 * 14
"""Bytes of the validation pictures below."""


def opened(root: Path, wanted: set[str] | None = None, **more: Any) -> DataBundle:
    write_imagenet(root)
    shutil.copytree(root / "train", root / "held")
    section = {"name": "imagenet", "root": str(root), "image_size": 14, "batch_size": 4, "eval_batch_size": 5}
    section |= {"normalize": ["unit"], "workers": 0, "validation": {"folder": "held"}, **more}
    splits: dict[str, Any] = {} if wanted is None else {"splits": tuple(wanted)}
    return open_data(Data.model_validate(section), seed=1, device=CPU, **splits)


def validated(data: DataBundle, **more: Any) -> list[torch.Tensor]:
    return [tensor for batch in data.eval_batches("validation", **more) for tensor in batch]


def without_files(root: Path, part: str = "held") -> None:
    for file in (root / part).rglob("*.JPEG"):
        file.unlink()


def test_validation_pictures_are_decoded_once(tmp_path: Path) -> None:
    data = opened(tmp_path)
    first = validated(data)
    assert sum(len(images) for images in first[::2]) == 12
    without_files(tmp_path)
    for again in (validated(data), validated(data, batch_size=5)):
        assert all(map(torch.equal, first, again))
    assert torch.equal(torch.cat(validated(data, batch_size=7)[::2]), torch.cat(first[::2]))
    assert torch.equal(validated(data, limit=3)[0], first[0][:3])


@pytest.mark.parametrize(
    ("more", "free"),
    [({"resident": False}, 10**9), ({}, 8 * PICTURES - 1), ({"resident": True}, 0), ({}, 8 * PICTURES)],
)
def test_where_there_is_no_room_they_are_decoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], free: int
) -> None:
    monkeypatch.setattr(resident, "free_memory", lambda device: free)
    data, stays = opened(tmp_path, **more), more.get("resident", free >= 8 * PICTURES)
    first = validated(data)
    assert all(map(torch.equal, first, validated(data)))
    without_files(tmp_path)
    if stays:
        assert all(map(torch.equal, first, validated(data)))
        return
    with pytest.raises(BnnError, match="JPEG"):
        validated(data)


def test_a_pass_that_stops_early_leaves_the_rest_to_the_next(tmp_path: Path) -> None:
    data = opened(tmp_path)
    first = validated(data, limit=5)
    assert all(map(torch.equal, first, validated(data)))
    assert sum(len(images) for images in validated(data)[::2]) == 12


def test_training_and_calibration_read_the_files(tmp_path: Path) -> None:
    data = opened(tmp_path)
    validated(data)
    train = torch.cat([images for images, _ in data.train_batches(0)])
    assert not torch.equal(train, torch.cat([images for images, _ in data.train_batches(1)]))
    without_files(tmp_path, "train")
    with pytest.raises(BnnError, match="JPEG"):
        list(data.train_batches(2))


def test_an_evaluation_alone_keeps_nothing(tmp_path: Path) -> None:
    data = opened(tmp_path, {"test"})
    assert data.splits["test"].source.kept is None  # type: ignore[attr-defined]  # a folder's


def test_kept_pictures_by_hand() -> None:
    kept, generator = Kept(np.array([7, 3, 5]), True, CPU), torch.Generator().manual_seed(1)
    images = torch.randint(256, (3, 2, 4, 4), generator=generator, dtype=torch.uint8)
    labels = torch.tensor([2, 0, 1])
    kept.put(np.array([3, 9]), images[:2], labels[:2])  # 9 is none of those that stay
    assert not kept.holds(np.array([3]))
    kept.put(np.array([5, 7]), images[:2], labels[:2])
    assert kept.holds(np.array([7, 5]))
    assert not kept.holds(np.array([7, 3]))
    kept.put(np.array([3]), images[2:], labels[2:])
    found, named = kept.batch(np.array([3, 7, 5, 3]))
    assert torch.equal(found, images[[2, 1, 0, 2]])
    assert named.tolist() == [1, 0, 2, 1]
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_a_small_set_beside_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = torch.randint(256, (6, 1, 4, 4), dtype=torch.uint8), torch.arange(6)
    beside = list(TensorSource(images, labels, (), 1, META).batches(np.arange(6), 0, 4))
    assert [(tuple(x.shape), x.device, y.device) for x, y in beside] == [
        ((4, 1, 4, 4), META, META),
        ((2, 1, 4, 4), META, META),
    ]
    section = Data.model_validate({"name": "digits", "batch_size": 50})
    monkeypatch.setattr(resident, "free_memory", lambda device: 0)
    there = open_data(section, seed=1, device=META).splits["train"].source
    assert there.images.device == CPU  # type: ignore[attr-defined]  # a small set's
    assert there.device == META  # type: ignore[attr-defined]


def test_free_memory_is_what_system_and_container_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proc, group = tmp_path / "meminfo", tmp_path / "group"
    monkeypatch.setattr(resident, "_PROC", proc)
    monkeypatch.setattr(resident, "_CGROUP", group)
    assert free_memory(CPU) == 0
    assert not has_room("auto", 1, CPU)
    proc.write_text("MemTotal:  16 kB\nMemAvailable:   8 kB\n", encoding="ascii")
    assert free_memory(CPU) == 8192
    assert has_room("auto", 1024, CPU)
    assert not has_room("auto", 1025, CPU)
    for folder, limit, usage, cached in (
        (group, "memory.max", "memory.current", "inactive_file"),
        (group / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        folder.mkdir()
        (folder / "memory.stat").write_text(f"{cached}_not 7\n{cached} 600\n", encoding="ascii")
        (folder / usage).write_text("5000\n", encoding="ascii")
        for most, left in (("max", 8192), (str(2**63), 8192), ("6000", 1600), ("4000", 0)):
            (folder / limit).write_text(f"{most}\n", encoding="ascii")
            assert free_memory(CPU) == left
        (folder / limit).unlink()
