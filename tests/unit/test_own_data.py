"""Images of one's own, in folders and in tables: parts, splits, statistics, and what is refused."""

from __future__ import annotations

import shutil
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from bnn_train.config.schema import Data
from bnn_train.data.open import DataBundle, open_data
from bnn_train.data.sources import FolderSource
from bnn_train.errors import DataError
from make_data import pixels

CLASSES = ("ant", "bee", "cow")
CPU = torch.device("cpu")


def write(root: Path, parts: dict[str, int]) -> Path:
    """So many PNGs of 12×10 pixels in each class of each part; "" for classes without parts."""
    for number, (part, count) in enumerate(parts.items()):
        for label, name in enumerate(CLASSES):
            folder = root / part / name
            folder.mkdir(parents=True)
            for i, image in enumerate(pixels(count, 3, 12, 10 * number + label)):
                Image.fromarray(image[:, :10].transpose(1, 2, 0)).save(folder / f"{name}{i}.png")
    return root


def tables(root: Path, parts: dict[str, int], one: bool = False) -> Path:
    """The same images, listed."""
    write(root, parts)
    rows = {
        part: [
            f"{path.relative_to(root)},{path.parent.name}" for path in sorted((root / part).rglob("*.png"))
        ]
        for part in parts
    }
    if one:
        (root / "all.csv").write_text("\n".join(["path,label", *chain(*rows.values())]))
        return root / "all.csv"
    for part, listed in rows.items():
        (root / f"{part}.csv").write_text("\n".join(["path,label", *listed]) + "\n")
    return root


def opened(root: Path, name: str = "folder", seed: int = 1, **more: Any) -> DataBundle:
    section = {"name": name, "root": str(root), "size": 8, "batch_size": 4, "workers": 0, **more}
    return open_data(Data.model_validate(section), seed=seed, device=CPU)


def names(data: DataBundle, split: str) -> set[Path]:
    source = data.splits[split].source
    assert isinstance(source, FolderSource)
    return {source.pictures.listing.path(position) for position in data.splits[split].positions}


@pytest.mark.parametrize(
    ("parts", "sizes", "told"),
    [
        ({"train": 6, "val": 2, "test": 3}, (18, 6, 9), 0),
        ({"train": 6, "test": 3}, (15, 3, 9), 0),
        ({"train": 10, "val": 2}, (27, 3, 6), 1),
        ({"train": 20}, (42, 6, 12), 1),
    ],
)
@pytest.mark.parametrize("name", ["folder", "csv"])
def test_parts(name: str, parts: dict[str, int], sizes: tuple[int, ...], told: int, tmp_path: Path) -> None:
    root = (write if name == "folder" else tables)(tmp_path / "own", parts)
    data = opened(root, name)
    assert tuple(data.sizes.values()) == sizes
    assert data.classes == CLASSES
    assert len(data.choices) == told
    chosen = [names(data, split) for split in data.splits]
    assert sum(map(len, chosen)) == len(set().union(*chosen))
    for split, of_all in zip(data.splits.values(), sizes, strict=True):
        assert np.bincount(split.labels).tolist() == [of_all // 3] * 3


@pytest.mark.parametrize("name", ["folder", "csv"])
def test_one_folder_of_classes_or_one_table(name: str, tmp_path: Path) -> None:
    """A fifth of each class tests, whatever the seed of the run; the seed draws the validation images."""
    root = (
        write(tmp_path / "own", {"": 15}) if name == "folder" else tables(tmp_path / "own", {"x": 15}, True)
    )
    first, second = opened(root, name, seed=1), opened(root, name, seed=2)
    assert tuple(first.sizes.values()) == (33, 3, 9)
    assert names(first, "test") == names(second, "test")
    assert names(first, "validation") != names(second, "validation")
    other = opened(root, name, test_split={"share": 0.4, "seed": 3})
    assert other.sizes["test"] == 18
    assert other.choices == ()


def test_an_image_that_is_added_moves_no_other(tmp_path: Path) -> None:
    root = write(tmp_path / "own", {"": 15})
    before = opened(root)
    for i in range(5):
        shutil.copy(root / "ant" / "ant0.png", root / "ant" / f"new{i}.png")
    after = open_data(before.config, seed=1, device=CPU)
    for split in ("train", "validation", "test"):
        assert names(before, split) <= names(after, split)
    assert any("holds other images" in told for told in after.remarks)


def evaluated(path: Path, mode: str = "RGB") -> NDArray[np.int64]:
    """An image as an evaluation at size 8 sees it: shorter side to 9, then the centre."""
    with Image.open(path) as image:
        seen = image.convert(mode).resize((10, 9), Image.Resampling.BILINEAR).crop((1, 0, 9, 8))
    return np.asarray(seen, dtype=np.int64).reshape(8, 8, -1)


@pytest.mark.parametrize(("channels", "mode"), [(None, "RGB"), (1, "L")])
def test_statistics_are_those_of_all_training_images(channels: int | None, mode: str, tmp_path: Path) -> None:
    root = write(tmp_path / "own", {"train": 4, "test": 2})
    more: dict[str, Any] = {"channels": channels} if channels else {}
    data = opened(root, **more)
    found = data.config.statistics
    assert found is not None
    seen = np.stack([evaluated(path, mode) for path in sorted((root / "train").rglob("*.png"))]) / 255
    assert found.images == 12
    assert found.mean == pytest.approx(seen.mean(axis=(0, 1, 2)), abs=1e-6)
    assert found.std == pytest.approx(seen.std(axis=(0, 1, 2)), abs=1e-6)
    first = next(data.eval_batches("test"))[0]
    expected = (evaluated(sorted((root / "test" / "ant").iterdir())[0], mode) / 255 - found.mean) / found.std
    np.testing.assert_allclose(first[0].permute(1, 2, 0).numpy(), expected, atol=1e-5)
    again = open_data(data.config, seed=1, device=CPU, preprocess=data.normalizer.state())
    assert again.config.statistics == found


def test_statistics_notice_another_size_of_a_file(tmp_path: Path) -> None:
    root = write(tmp_path / "own", {"train": 4, "test": 2})
    first = opened(root).config.statistics
    Image.new("RGB", (12, 10)).save(root / "train" / "ant" / "ant0.png")
    second = opened(root).config.statistics
    assert first is not None
    assert second is not None
    assert first.digest != second.digest


def test_exif_is_heeded_unless_told_otherwise(tmp_path: Path) -> None:
    assert Data.model_validate({"name": "folder"}).exif == "apply"
    assert Data.model_validate({"name": "folder", "exif": "ignore"}).exif == "ignore"
    assert Data.model_validate({"name": "imagenet"}).exif == "ignore"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            "file,label\na.png,x\n",
            r"train\.csv:1: the columns are file, label; call two of them path and label",
        ),
        ("path,label\na.png\n", r"train\.csv:2: a row without path or label"),
        ("path,label\n", r"train\.csv: no rows"),
        ("path,label\ntrain/ant/ant0.png,x\nnone.png,y\n", r"train\.csv:3: .*none\.png: no such file;"),
        ("path,label\ntrain/ant/ant0.png,x\n", r"train\.csv: no image of class ant, but another table has"),
    ],
)
def test_tables_that_cannot_be_used(content: str, sentence: str, tmp_path: Path) -> None:
    root = tables(tmp_path / "own", {"train": 2, "test": 2})
    (root / "train.csv").write_text(content)
    with pytest.raises(DataError, match=sentence):
        opened(root, "csv")


def test_tables_as_people_write_them(tmp_path: Path) -> None:
    """Semicolons, a byte order mark, further columns, numbers as classes, an image in both parts."""
    root = write(tmp_path / "own", {"train": 4})
    listed = sorted((root / "train").rglob("*.png"))
    rows = [f"{i};{10 if i % 2 else 9};{path.relative_to(root)}" for i, path in enumerate(listed)]
    (root / "train.csv").write_text("\n".join(["id;Label; path", *rows]), encoding="utf-8-sig")
    (root / "test.csv").write_text("\n".join(["id;Label; path", *rows[:2]]), encoding="utf-8-sig")
    data = opened(root, "csv")
    assert data.classes == ("9", "10")
    assert data.notes == ("test.csv: 2 of its images are for training, too",)


@pytest.mark.parametrize(
    ("parts", "more", "sentence"),
    [
        ({"val": 2, "test": 2}, {}, r"own/train: no such folder; val is there; put images into train/"),
        ({}, {}, r"own: no such folder \(data\.root\); put images into train/<class>/"),
        ({"train": 2}, {"test_folder": "holdout"}, r"own/holdout: no such part \(data\.test_folder\)"),
        ({"": 1}, {}, r"no class has two images"),
    ],
)
def test_folders_that_cannot_be_used(
    parts: dict[str, int], more: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=sentence):
        opened(write(tmp_path / "own", parts), **more)
