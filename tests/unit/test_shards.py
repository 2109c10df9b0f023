"""Prepared tar files: the batches of the image folders, whatever happens while they are made."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import prepare_imagenet
from bnn_train.config.schema import Data
from bnn_train.data.bundle import DataBundle
from bnn_train.data.open import open_data
from bnn_train.errors import DataError
from make_data import write_imagenet
from preparing import shard

Batches = list[tuple[torch.Tensor, torch.Tensor]]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    write_imagenet(tmp_path / "images")
    first = next((tmp_path / "images" / "train").rglob("*_1.JPEG"))
    Image.open(first).convert("L").save(first)
    Image.open(first).save(first.with_name("b.png"))
    return tmp_path / "images"


def prepare(*arguments: Any) -> int:
    return prepare_imagenet.main([str(argument) for argument in arguments])


def opened(root: Path, **more: Any) -> DataBundle:
    section = {
        "name": "imagenet",
        "root": str(root),
        "image_size": 14,
        "batch_size": 4,
        "augment": ["random_resized_crop"],
        "validation": {"size": 2, "take": "random"},
        "workers": 0,
        **more,
    }
    return open_data(Data.model_validate(section), seed=1, device=torch.device("cpu"))


def all_of(data: DataBundle) -> Batches:
    return [*data.train_batches(3), *data.eval_batches("validation"), *data.eval_batches("test")]


def equal(one: Batches, other: Batches) -> bool:
    return all(torch.equal(a, b) and torch.equal(x, y) for (a, x), (b, y) in zip(one, other, strict=True))


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_files_own_bytes_are_the_same_run(images: Path, tmp_path: Path, jobs: int) -> None:
    assert prepare(images, tmp_path / "out", "--per-file", 5, "--jobs", jobs) == 0
    files, prepared = opened(images), opened(tmp_path / "out")
    assert prepared.digests == files.digests
    assert prepared.classes == files.classes
    assert equal(all_of(prepared), all_of(files))
    assert prepared.notes[0] == "train/: 13 images in 3 tar files (the files' own bytes)"
    assert equal(list(opened(tmp_path / "out", workers=2).train_batches(0)), list(files.train_batches(0)))


def test_members_are_those_of_webdataset(images: Path, tmp_path: Path) -> None:
    prepare(images, tmp_path / "out")
    with tarfile.open(tmp_path / "out" / "train" / "shard-00000.tar") as tar:
        names = tar.getnames()
        labels = [tar.extractfile(name).read() for name in names[1::2]]  # type: ignore[union-attr]
    stems = [name.partition(".") for name in names]
    assert [a[0] for a in stems[::2]] == [b[0] for b in stems[1::2]]
    assert {ending for _, _, ending in stems} == {"jpg", "png", "cls"}
    listed = opened(images).splits["train"].source.labels_of(np.array([int(a[0]) for a in stems[::2]]))
    assert [int(label) for label in labels] == listed.tolist()


def test_raw_pixels_are_the_resized_ones(images: Path, tmp_path: Path) -> None:
    assert prepare(images, tmp_path / "out", "--store", "raw", "--side", 20) == 0
    data = opened(
        tmp_path / "out", resize=20, normalize=[{"name": "mean_std", "mean": [0.0], "std": [1 / 255]}]
    )
    found = next(data.eval_batches("test"))[0][0].numpy()
    first = min((images / "val").rglob("*.JPEG"))
    pixels = np.asarray(Image.open(first).resize((22, 20), Image.Resampling.BILINEAR))[3:17, 4:18]
    np.testing.assert_allclose(found, pixels.transpose(2, 0, 1), atol=1e-3)
    assert data.digests != opened(images).digests  # other pixels: no resumed run takes them for its own
    with pytest.raises(DataError, match=r"prepared with --exif ignore, but data.exif is apply"):
        list(opened(tmp_path / "out", exif="apply").eval_batches("test"))


def test_jpeg_of_high_quality_is_near(images: Path, tmp_path: Path) -> None:
    assert prepare(images, tmp_path / "out", "--store", "jpeg", "--side", 30, "--quality", 100) == 0
    one, other = opened(images, resize=30), opened(tmp_path / "out", resize=30)
    far = [
        (a - b).abs().max()
        for (a, _), (b, _) in zip(one.eval_batches("test"), other.eval_batches("test"), strict=True)
    ]
    assert max(far) < 5 / 255 / 0.2


def test_a_stopped_preparation_goes_on(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    prepare(images, whole, "--per-file", 4)

    def stopped(task: shard.Task) -> list[shard.Row]:
        if task.to.name == "shard-00002.tar":
            raise KeyboardInterrupt
        return shard.write(task)

    monkeypatch.setattr(prepare_imagenet, "write", stopped)
    assert prepare(images, out, "--per-file", 4) == 130
    monkeypatch.undo()
    with pytest.raises(DataError, match="no class folders"):
        opened(out)
    assert prepare(images, out, "--per-file", 5) == 2
    assert "with other options (per_file)" in capsys.readouterr().err
    before = (out / "train" / "shard-00000.tar").stat().st_mtime_ns
    assert prepare(images, out, "--per-file", 4) == 0
    assert (out / "train" / "shard-00000.tar").stat().st_mtime_ns == before
    names = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    assert sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file()) == names
    assert all((out / n).read_bytes() == (whole / n).read_bytes() for n in names if n.suffix == ".tar")


def test_verify_finds_another_byte(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(images, tmp_path / "out", "--parts", "train")
    assert prepare(tmp_path / "out", "--verify") == 0
    path = tmp_path / "out" / "train" / "shard-00000.tar"
    content = bytearray(path.read_bytes())
    content[700] ^= 1
    path.write_bytes(content)
    capsys.readouterr()
    assert prepare(tmp_path / "out", "--verify") == 2
    said = capsys.readouterr()
    assert "other bytes than were written (SHA-256)" in said.out
    assert "other bytes than were written (CRC-32)" in said.out


@pytest.mark.parametrize("change", ["short", "gone", "index", "manifest"])
def test_damaged_preparations_are_told(change: str, images: Path, tmp_path: Path) -> None:
    prepare(images, tmp_path / "out")
    folder = tmp_path / "out" / "train"
    if change == "short":
        (folder / "shard-00000.tar").write_bytes((folder / "shard-00000.tar").read_bytes()[:-1])
    elif change == "gone":
        (folder / "shard-00000.tar").unlink()
    elif change == "index":
        (folder / "index.npz").write_bytes(b"PK")
    else:
        (folder / "shards.json").write_text(json.dumps({"format": "other"}))
    with pytest.raises(DataError, match=r"run scripts/prepare_imagenet\.py again"):
        opened(tmp_path / "out")


def test_a_damaged_image_is_met_as_in_a_folder(images: Path, tmp_path: Path) -> None:
    path = min((images / "train").rglob("*.JPEG"))
    path.write_bytes(path.read_bytes()[:-200])
    for store in ("original", "raw"):
        assert prepare(images, tmp_path / store, "--store", store, "--side", 64) == 0
        with pytest.raises(DataError, match=rf"shard-00000\.tar/.*{path.name}: not a readable image"):
            list(opened(tmp_path / store, batch_size=1, validation={"size": 0}).train_batches(0))
        data = opened(tmp_path / store, on_error="skip", batch_size=1, validation={"size": 0})
        files = opened(images, on_error="skip", batch_size=1, validation={"size": 0})
        if store == "original":
            assert equal(list(data.train_batches(0)), list(files.train_batches(0)))
        else:
            assert len(list(data.train_batches(0))) == 13
