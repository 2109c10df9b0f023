"""Image files and arrays on their way into a packed model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bnn_train.data.decode import for_evaluation
from bnn_train.errors import DataError
from bnn_train.packed.images import check_array, read_files
from bnn_train.packed.photo import read_photo
from bnn_train.packed.program import Images
from make_deep import pnm

RNG = np.random.default_rng(0)
COLOUR = Images(height=24, width=24, channels=3, resize=28)


def save(path: Path, width: int, height: int, mode: str = "RGB") -> Path:
    channels = {"L": (), "RGB": (3,), "RGBA": (4,), "CMYK": (4,)}[mode]
    pixels = RNG.integers(0, 256, (height, width, *channels), dtype=np.uint8)
    Image.fromarray(pixels, mode=None if mode != "CMYK" else "CMYK").save(path)
    return path


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated:DeprecationWarning")
@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize(("width", "height"), [(28, 28), (41, 30), (30, 41), (300, 29), (24, 24), (100, 101)])
def test_files_are_decoded_as_in_evaluation(tmp_path: Path, suffix: str, width: int, height: int) -> None:
    path = save(tmp_path / f"a.{suffix}", width, height)
    truth = for_evaluation(read_photo(path, "RGB").image, 24, 28)
    assert np.array_equal(read_files([path], COLOUR)[0], truth)


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated:DeprecationWarning")
@pytest.mark.parametrize(("mode", "suffix"), [("L", "png"), ("RGBA", "png"), ("CMYK", "jpg")])
def test_other_modes_become_rgb(tmp_path: Path, mode: str, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", 40, 30, mode)
    assert np.array_equal(
        read_files([str(path)], COLOUR)[0], for_evaluation(read_photo(path, "RGB").image, 24, 28)
    )


def test_files_of_earlier_versions_are_not_turned() -> None:
    """The header is spelled in one way: a new field must not change how old files are spelled."""
    old = COLOUR.model_dump()
    assert set(old) == {"height", "width", "channels", "resize", "preprocess"}
    assert Images.model_validate(old) == COLOUR
    turning = COLOUR.model_copy(update={"exif": "apply"})
    assert turning.model_dump() == {**old, "exif": "apply"}
    assert Images.model_validate(turning.model_dump()) == turning


def test_a_grey_model_gets_grey(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", 8, 6, "L")
    found = read_files([path, path], Images(height=6, width=8, channels=1))
    assert found.shape == (2, 6, 8, 1)
    assert np.array_equal(found[1, ..., 0], np.array(Image.open(path)))


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    exact = Images(height=24, width=24, channels=3)
    small, long = save(tmp_path / "small.png", 8, 6), save(tmp_path / "long.png", 2020, 20)
    damaged, empty = tmp_path / "damaged.png", tmp_path / "empty.jpg"
    damaged.write_bytes(small.read_bytes()[:60])
    empty.write_bytes(b"")
    deep = tmp_path / "deep.pgm"
    deep.write_bytes(pnm("P5", 65535, 1))
    for path, contract, match in (
        (small, exact, "8×6 pixels; the model wants 24×24"),
        (damaged, COLOUR, "damaged.png: not a readable image"),
        (empty, COLOUR, "empty.jpg: not a readable image"),
        (tmp_path, COLOUR, "not a readable image"),
        (tmp_path / "none.png", COLOUR, "none.png: no such file"),
        (long, COLOUR, "too elongated"),
        (deep, COLOUR, "more than 8 bits"),
        (small, Images(height=6, width=8, channels=2), "files give 1 or 3"),
    ):
        with pytest.raises(DataError, match=match):
            read_files([path], contract)


def test_resizing_does_not_grow_without_bound(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", 99, 1)
    contract = Images(height=24, width=24, channels=3, resize=4096)
    with pytest.raises(DataError, match="too elongated to resize"):
        read_files([path], contract)


@pytest.mark.parametrize(
    ("images", "match"),
    [
        (np.zeros((2, 24, 24, 3)), "float64; give uint8"),
        (np.zeros((2, 24, 24, 3), np.int8), "int8; give uint8"),
        (np.zeros((2, 3, 24, 24), np.uint8), "2×3×24×24; the model wants N×24×24×3"),
        (np.zeros((24, 24, 3), np.uint8), "24×24×3; the model wants"),
        (np.uint8(3), "a uint8"),
        ("a.png", "a str; give a uint8 array or a list of file paths"),
        (None, "a NoneType"),
    ],
)
def test_arrays_that_do_not_fit(images: Any, match: str) -> None:
    with pytest.raises(DataError, match=match):
        check_array(images, COLOUR)
