"""Decoding and cropping, against PIL and torchvision's own transforms."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bnn_train.compat import import_torchvision
from bnn_train.config.schema import RandomResizedCrop, ResizeCrop
from bnn_train.data.decode import Draws, crop_box, for_evaluation, for_training
from bnn_train.data.randomness import uniform
from bnn_train.errors import DataError
from bnn_train.packed.photo import read_photo
from make_data import pixels

import_torchvision()
from torchvision.transforms import functional as tv  # noqa: E402


def picture(width: int, height: int, mode: str = "RGB") -> Image.Image:
    coarse = Image.fromarray(pixels(1, 3, 6)[0].transpose(1, 2, 0))
    return coarse.resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def read_rgb(path: Path) -> Image.Image:
    return read_photo(path, "RGB").image


class Fixed(Draws):
    """Given numbers, then ½ for ever."""

    def __init__(self, **numbers: float) -> None:
        self.numbers = {int(name[1:]): value for name, value in numbers.items()}

    def __getitem__(self, number: int) -> float:
        return self.numbers.get(number, 0.5)


# ------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "RGBA", "LA", "1"])
def test_modes_become_rgb(mode: str, tmp_path: Path) -> None:
    image = picture(9, 8, mode)
    path = tmp_path / ("a.JPEG" if mode == "CMYK" else "a.png")
    image.save(path)
    found = read_rgb(path)
    assert (found.mode, found.size) == ("RGB", (9, 8))
    if mode != "CMYK":
        np.testing.assert_array_equal(np.array(found), np.array(image.convert("RGB")))


def test_png_named_jpeg(tmp_path: Path) -> None:
    picture(9, 8).save(tmp_path / "a.JPEG", format="PNG")
    np.testing.assert_array_equal(np.array(read_rgb(tmp_path / "a.JPEG")), np.array(picture(9, 8)))


def test_exif_orientation_is_ignored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90°
    picture(9, 8).save(tmp_path / "a.JPEG", exif=exif)
    assert read_rgb(tmp_path / "a.JPEG").size == (9, 8)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.99])
def test_truncated(share: float, tmp_path: Path) -> None:
    path = tmp_path / "a.JPEG"
    picture(90, 80).save(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DataError) as raised:
        read_rgb(path)
    assert str(raised.value).startswith(f"{path}: not a readable image (")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"<html>404</html>", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n" + bytes(30)])
def test_not_an_image(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.JPEG").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.JPEG: not a readable image"):
        read_rgb(tmp_path / "a.JPEG")


def test_gone(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.JPEG: no such file"):
        read_rgb(tmp_path / "a.JPEG")


def png_start(width: int, height: int) -> bytes:
    """A grey PNG that says its size, and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b""))


@pytest.mark.parametrize("side", [8001, 65_000])
def test_pixel_cap(side: int, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_start(side, side))
    with pytest.raises(DataError, match=r"a\.png: more than 64 million pixels"):
        read_rgb(tmp_path / "a.png")


def test_too_elongated(tmp_path: Path) -> None:
    Image.new("RGB", (500, 4)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="500×4 pixels is too elongated"):
        read_rgb(tmp_path / "a.png")


def test_sixteen_bits(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 3000, dtype=np.uint16)).save(tmp_path / "a.png")
    assert (np.array(read_rgb(tmp_path / "a.png")) == 3000 // 256).all()


# ------------------------------------------------------------------------------------ evaluation


@pytest.mark.parametrize("size", [(50, 37), (37, 50), (32, 32), (300, 11), (24, 21)])
def test_evaluation_is_resize_and_centre_crop(size: tuple[int, int]) -> None:
    image = picture(*size)
    expected = tv.center_crop(tv.resize(image, 24), 21)
    np.testing.assert_array_equal(for_evaluation(image, 21, 24), np.array(expected))


# -------------------------------------------------------------------------------------- training


def test_draws_are_the_samples_own() -> None:
    draws = Draws(seed=3, epoch=4, sample=5)
    assert draws[7] == uniform(3, 4, [5], 7)[0]
    assert draws.below(7, 10) == int(10 * uniform(3, 4, [5], 7)[0])


def test_random_resized_crop() -> None:
    step = RandomResizedCrop(name="random_resized_crop", min_area=0.25)
    image = picture(60, 40)
    # Area 0.25 + 0.75·0.2 = 0.4 of 2400 = 960 pixels, aspect 1: √960 → 31 pixels a side.
    draws = Fixed(d0=0.9, d1=0.2, d2=0.5, d3=0.5, d4=0.25)
    left, top = int(0.5 * (60 - 31 + 1)), int(0.25 * (40 - 31 + 1))
    assert crop_box(image.size, 0.25, draws) == (left, top, left + 31, top + 31)
    expected = np.array(tv.resized_crop(image, top, left, 31, 31, [21, 21]))
    np.testing.assert_array_equal(for_training(image, 21, step, draws), expected)
    flipped = Fixed(d0=0.4, d1=0.2, d2=0.5, d3=0.5, d4=0.25)
    np.testing.assert_array_equal(for_training(image, 21, step, flipped), expected[:, ::-1])
    unflipped = step.model_copy(update={"flip": False})
    np.testing.assert_array_equal(for_training(image, 21, unflipped, flipped), expected)


def test_crop_boxes_over_many_draws() -> None:
    boxes = np.array([crop_box((500, 375), 0.08, Draws(1, 0, i)) for i in range(3000)])
    left, top, right, bottom = boxes.T
    width, height = right - left, bottom - top
    assert left.min() >= 0
    assert top.min() >= 0
    assert right.max() <= 500
    assert bottom.max() <= 375
    area, aspect = width * height / (500 * 375), width / height
    assert area.min() > 0.078
    assert 0.73 < aspect.min() < 0.78
    assert 1.28 < aspect.max() < 1.36
    assert abs(np.log(aspect)).mean() == pytest.approx(np.log(4 / 3) / 2, rel=0.1)
    small = area[area < 0.5]  # every such box fits, so that areas below ½ are uniform
    assert small.mean() == pytest.approx((0.08 + 0.5) / 2, rel=0.05)


def test_a_crop_that_never_fits_is_the_centre() -> None:
    assert crop_box((100, 10), 1.0, Fixed()) == (43, 0, 56, 10)  # width round(10·4/3) = 13
    assert crop_box((10, 100), 1.0, Fixed()) == (0, 43, 10, 56)


def test_resize_crop() -> None:
    step = ResizeCrop(name="resize_crop", min_side=24, max_side=33)
    image = picture(60, 40)
    draws = Fixed(d0=0.9, d1=0.75, d2=0.999, d3=0.0)  # side 24 + int(0.75·10) = 31
    resized = tv.resize(image, 31)
    assert resized.size == (46, 31)
    left = int(0.999 * (46 - 21 + 1))
    expected = np.array(resized.crop((left, 0, left + 21, 21)))
    np.testing.assert_array_equal(for_training(image, 21, step, draws), expected)
