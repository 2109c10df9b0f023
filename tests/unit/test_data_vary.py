"""Random changes of single images: functions of (seed, epoch, sample), within what their options say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor

from bnn_train.compat import import_torchvision
from bnn_train.config.schema import Data
from bnn_train.data.open import open_data
from bnn_train.data.vary import varied
from bnn_train.spec.augment import Augmentation
from make_data import pixels, write_imagenet

STEP: TypeAdapter[Any] = TypeAdapter(Augmentation)
STEPS = [
    {"name": "rand_augment"},
    {"name": "color_jitter"},
    {"name": "random_erasing", "probability": 1.0},
]


def image(channels: int = 3, side: int = 16) -> Tensor:
    return torch.from_numpy(pixels(1, channels, side, 3)[0])


def made(*steps: dict[str, Any], seed: int = 1, epoch: int = 0, sample: int = 5) -> Tensor:
    return varied(image(), [STEP.validate_python(step) for step in steps], seed, epoch, sample)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step["name"])
def test_drawn_from_seed_epoch_and_sample_alone(step: dict[str, Any]) -> None:
    torch.manual_seed(1)
    first = made(step)
    torch.manual_seed(2)
    before = torch.default_generator.get_state()
    assert torch.equal(first, made(step))
    assert torch.equal(torch.default_generator.get_state(), before)
    assert first.dtype == torch.uint8
    others = [made(step, **{key: 9}) for key in ("seed", "epoch", "sample")]
    assert not all(torch.equal(first, other) for other in others)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step["name"])
def test_grey_images(step: dict[str, Any]) -> None:
    assert varied(image(1), [STEP.validate_python(step)], 1, 0, 5).shape == (1, 16, 16)


def test_a_steps_draws_do_not_depend_on_those_before() -> None:
    """Erasing hits the same rectangle, whatever was done to the colours."""
    erasing = {"name": "random_erasing", "probability": 1.0, "fill": "black"}
    jitter = {"name": "color_jitter", "brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
    plain = varied(image(), [STEP.validate_python(jitter), STEP.validate_python(erasing)], 1, 0, 5)
    again = made({**jitter}, erasing)
    assert torch.equal(plain, again)


def test_torchvisions_transform_under_the_same_seed() -> None:
    import_torchvision()
    from torchvision.transforms import v2

    from bnn_train.data.randomness import stream_seed

    torch.manual_seed(stream_seed(1, 0, "vary", 5, 0))
    assert torch.equal(
        made({"name": "rand_augment", "operations": 3, "magnitude": 12}), v2.RandAugment(3, 12)(image())
    )
    torch.manual_seed(stream_seed(1, 0, "vary", 5, 0))
    expected = v2.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)(image())
    assert torch.equal(made({"name": "color_jitter"}), expected)


def test_erased_rectangles() -> None:
    """A quarter of the images are hit; each in one rectangle of the size and shape that is allowed."""
    step = STEP.validate_python({"name": "random_erasing", "fill": "black", "min_area": 0.1, "max_area": 0.3})
    white, areas = torch.full((1, 32, 32), 255, dtype=torch.uint8), []
    for sample in range(400):
        black = (varied(white, [step], 1, 0, sample)[0] == 0).numpy()
        if black.any():
            rows, columns = black.any(axis=1).sum(), black.any(axis=0).sum()
            assert black.sum() == rows * columns
            assert 0.25 < rows / columns < 4
            areas.append(black.mean())
    assert 70 < len(areas) < 130
    assert 0.08 < min(areas) < 0.13
    assert 0.25 < max(areas) < 0.33


AUGMENT = ["random_resized_crop", {"name": "rand_augment"}, {"name": "random_erasing", "probability": 0.9}]


@pytest.mark.parametrize("augment", [AUGMENT, AUGMENT[1:]])
def test_workers_and_skips_change_nothing(augment: list[Any], tmp_path: Path) -> None:
    write_imagenet(tmp_path, size=(20, 18))
    section = {
        "name": "imagenet",
        "root": str(tmp_path),
        "image_size": 8,
        "batch_size": 4,
        "augment": augment,
        "mix": ["mixup", "cutmix"],
    }
    found = []
    for workers in (0, 2):
        config = Data.model_validate({**section, "workers": workers})
        data = open_data(config, seed=3, device=torch.device("cpu"))
        whole, rest = list(data.train_batches(2, mix=True)), list(data.train_batches(2, skip=1, mix=True))
        assert all(
            torch.equal(a, b) for x, y in zip(whole[1:], rest, strict=True) for a, b in zip(x, y, strict=True)
        )
        found.append(whole)
    assert all(torch.equal(a, b) for x, y in zip(*found, strict=True) for a, b in zip(x, y, strict=True))
    plain = open_data(
        Data.model_validate({**section, "augment": augment[:-2], "workers": 0}),
        seed=3,
        device=torch.device("cpu"),
    )
    assert not torch.equal(next(plain.train_batches(2, mix=True))[0], found[0][0][0])


def test_small_images_after_their_crop() -> None:
    section = {"name": "synthetic", "batch_size": 16, "augment": ["pad_crop_flip", {"name": "color_jitter"}]}
    data = open_data(Data.model_validate(section), seed=1, device=torch.device("cpu"))
    both = next(data.train_batches(0))[0]
    alone = open_data(
        Data.model_validate({**section, "augment": ["pad_crop_flip"]}), seed=1, device=torch.device("cpu")
    )
    once = next(alone.train_batches(0))[0]
    ids = alone.splits["train"].positions[alone._order(0, alone.splits["train"])][:16]
    raw = ((once * 0.25 + 0.5) * 255).round().to(torch.uint8)
    expected = torch.stack(
        [
            varied(one.contiguous(), [STEP.validate_python({"name": "color_jitter"})], 1, 0, int(sample))
            for one, sample in zip(raw, ids, strict=True)
        ]
    )
    np.testing.assert_allclose(both.numpy(), alone.normalizer(expected).numpy(), atol=1e-5)
