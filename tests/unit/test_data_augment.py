"""Pad, crop, flip against a loop over images in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bnn_train.config.schema import PadCropFlip
from bnn_train.data import augment
from bnn_train.data.augment import pad_crop_flip
from bnn_train.data.randomness import uniform


def images(count: int = 50) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(1, 256, (count, 3, 7, 5)).astype(np.uint8))


@pytest.mark.parametrize("step", [{}, {"pad": 2}, {"flip": False}, {"pad": 0}])
def test_by_hand(step: dict[str, object]) -> None:
    row = PadCropFlip.model_validate({"name": "pad_crop_flip", **step})
    x, ids = images(), np.arange(100, 150)
    result = pad_crop_flip(x, row, seed=3, epoch=2, ids=ids, first_draw=64).numpy()
    top, left, flip = (uniform(3, 2, ids, 64 + i) for i in range(3))
    for i, image in enumerate(x.numpy()):
        padded = np.pad(image, ((0, 0), (row.pad, row.pad), (row.pad, row.pad)))
        t, s = int(top[i] * (2 * row.pad + 1)), int(left[i] * (2 * row.pad + 1))
        expected = padded[:, t : t + 7, s : s + 5]
        if row.flip and flip[i] < 0.5:
            expected = expected[:, :, ::-1]
        np.testing.assert_array_equal(result[i], expected)


def test_every_place_and_both_sides_occur() -> None:
    marked = torch.zeros(3000, 1, 5, 5, dtype=torch.uint8)
    marked[:, 0, 2, 2] = 255  # the middle, which a flip leaves where it is
    moved = pad_crop_flip(
        marked, PadCropFlip(name="pad_crop_flip", pad=1), seed=1, epoch=0, ids=np.arange(3000)
    )
    counts = (moved[:, 0] > 0).sum(dim=0).numpy()
    assert counts.sum() == 3000
    assert counts[1:4, 1:4].min() > 3000 / 9 * 0.8
    marked[:, 0, 2] = torch.tensor([9, 8, 0, 1, 2], dtype=torch.uint8)
    sides = pad_crop_flip(
        marked, PadCropFlip(name="pad_crop_flip", pad=0), seed=1, epoch=0, ids=np.arange(3000)
    )
    assert 0.45 < (sides[:, 0, 2, 0] == 2).float().mean() < 0.55


def test_does_not_depend_on_the_batch() -> None:
    row, x, ids = PadCropFlip(name="pad_crop_flip"), images(), np.arange(50)
    whole = pad_crop_flip(x, row, seed=1, epoch=0, ids=ids)
    order = np.random.default_rng(1).permutation(50)
    shuffled = pad_crop_flip(x[order], row, seed=1, epoch=0, ids=ids[order])
    assert torch.equal(shuffled, whole[order])
    assert torch.equal(pad_crop_flip(x[7:8], row, seed=1, epoch=0, ids=ids[7:8]), whole[7:8])
    assert not torch.equal(pad_crop_flip(x, row, seed=1, epoch=1, ids=ids), whole)


@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_cpu_and_a_gpu_crop_alike(flip: bool, channels: int) -> None:
    step, drawn = (
        PadCropFlip(name="pad_crop_flip", pad=2, flip=flip),
        np.random.default_rng(0).random((3, 40)),
    )
    x = torch.randint(0, 256, (40, channels, 9, 7), dtype=torch.uint8)
    expected = augment._gathered(x, step, drawn)
    assert torch.equal(augment._sliced(x, step, drawn), expected)
    assert torch.equal(
        augment._sliced(x.contiguous(memory_format=torch.channels_last), step, drawn), expected
    )


@pytest.mark.parametrize("pad", [0, 1, 4, 9])
@pytest.mark.parametrize("channels", [1, 3])
def test_compiled_and_numpys_images_are_the_padded_ones(pad: int, channels: int) -> None:
    """Against a pad, a crop and a mirror image, with every place of a window of seven by six pixels."""
    rng = np.random.default_rng(pad)
    places = [(y, x, f) for y in range(-pad, pad + 1) for x in range(-pad, pad + 1) for f in (False, True)]
    tops, lefts, flipped = (np.array(column) for column in zip(*places, strict=True))
    pixels = rng.integers(0, 256, (len(places), 7, 6, channels), dtype=np.uint8)
    padded = np.pad(pixels, [(0, 0), (pad, pad), (pad, pad), (0, 0)])
    wanted = np.stack(
        [
            image[pad + y : pad + y + 7, pad + x : pad + x + 6][:, :: -1 if f else 1]
            for image, (y, x, f) in zip(padded, places, strict=True)
        ]
    )
    for way in (augment._moved, augment._moved_by_numpy):
        assert np.array_equal(way(pixels, tops, lefts, flipped), wanted)
