"""Resizing: every byte is Pillow's, and at most 1 from torchvision's antialiased result on uint8."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from bnn_train.packed import resample as module
from bnn_train.packed.errors import NativeUnavailable
from bnn_train.packed.native_library import Library, library
from bnn_train.packed.resample import resample


def by_pillow(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pillow in two steps, in the order that Pillow 13 takes; a step alone is the same in every release."""
    image = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0])
    rows_last = height < image.height and image.height - height > 2 * (image.width - width)
    middle = (image.width, height) if rows_last else (width, image.height)
    for size in (middle, (width, height)):
        image = image.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(height, width, pixels.shape[2])


@pytest.fixture(params=["kernels", "pillow"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "pillow":

        def absent() -> Library:
            raise NativeUnavailable("none here")

        monkeypatch.setattr(module, "library", absent)
    else:
        try:
            library()
        except NativeUnavailable as error:
            pytest.skip(str(error))
    return str(request.param)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("channels", [1, 3])
def test_every_byte_is_pillows(channels: int) -> None:
    rng = np.random.default_rng(channels)
    for case in range(150):
        height, width, to_height, to_width = (int(n) for n in rng.integers(1, 120, 4))
        if case % 10 == 0:
            to_height = height
        pixels = rng.integers(0, 256, (height, width + 3, channels), dtype=np.uint8)[:, 1 : width + 1]
        if case % 3 == 0:
            pixels = rng.choice(np.array([0, 255], np.uint8), pixels.shape)
        expected = by_pillow(np.ascontiguousarray(pixels), to_height, to_width)
        np.testing.assert_array_equal(resample(pixels, (to_height, to_width)), expected)
        top, left = int(rng.integers(0, to_height)), int(rng.integers(0, to_width))
        rows, columns = int(rng.integers(1, to_height - top + 1)), int(rng.integers(1, to_width - left + 1))
        found = resample(pixels, (to_height, to_width), (top, left, rows, columns))
        np.testing.assert_array_equal(found, expected[top : top + rows, left : left + columns])
        assert found.flags.c_contiguous
        mirrored = resample(pixels, (to_height, to_width), (top, left, rows, columns), flipped=True)
        np.testing.assert_array_equal(mirrored, found[:, ::-1])


@pytest.mark.usefixtures("way")
def test_flat_pictures_stay_flat() -> None:
    for value in (0, 1, 128, 254, 255):
        assert (resample(np.full((57, 91, 3), value, np.uint8), (24, 33)) == value).all()


def test_within_one_of_torchvision() -> None:
    """torchvision's resize of a uint8 tensor is torch's antialiased interpolation of uint8."""
    rng = np.random.default_rng(0)
    for shape, size in (((90, 130, 3), (56, 56)), ((64, 48, 3), (85, 64)), ((200, 41, 3), (56, 56))):
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        planes = torch.from_numpy(pixels).permute(2, 0, 1)[None]
        theirs = torch.nn.functional.interpolate(planes, size, mode="bilinear", antialias=True)
        ours = resample(pixels, size).astype(int)
        assert np.abs(ours - theirs[0].permute(1, 2, 0).numpy().astype(int)).max() <= 1


def test_grey_without_a_channel_axis() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 20), dtype=np.uint8)
    assert resample(pixels, (15, 12)).shape == (15, 12)
