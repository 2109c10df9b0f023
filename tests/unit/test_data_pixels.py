"""Raw pixels in the order of evaluation, channels last, and the images that a run keeps of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bnn_train.data.open import DataBundle, open_data
from bnn_train.data.pixels import fitted_normalizer, pixel_batches
from bnn_train.errors import CheckpointError
from bnn_train.training.parity_images import COUNT, FORMER_NAME, NAME, record, recorded
from tiny import tiny


def opened(**changes: object) -> DataBundle:
    experiment = tiny(Path("run"), data={"normalize": ["signed"], **changes})
    return open_data(experiment.data, seed=3, device=torch.device("cpu"))


def test_normalized_they_are_what_evaluation_sees() -> None:
    data = opened()
    pixels = [
        (torch.from_numpy(p.transpose(0, 3, 1, 2)), labels) for p, labels in pixel_batches(data, "test", 7)
    ]
    batches = list(data.eval_batches("test", 7))
    assert [len(labels) for _, labels in pixels] == [7] * 7 + [1]
    for (raw, own), (images, labels) in zip(pixels, batches, strict=True):
        assert raw.dtype == torch.uint8
        assert torch.equal(raw.float() * (2 / 255) - 1, images)
        assert torch.equal(own, labels)


def test_a_limit() -> None:
    assert sum(len(pixels) for pixels, _ in pixel_batches(opened(), "test", 4, limit=10)) == 10


def test_the_stored_normalization_needs_no_images() -> None:
    data = opened(normalize=["pixel_mean"])
    again = fitted_normalizer(data.config, data.normalizer.state())
    images = torch.randint(0, 256, (3, 1, 6, 6), dtype=torch.uint8)
    assert torch.equal(again(images), data.normalizer(images))
    with pytest.raises(CheckpointError, match=r"does not fit data\.normalize"):
        fitted_normalizer(data.config, {})


@pytest.mark.parametrize(("held_out", "split"), [(40, "validation"), (0, "train")])
def test_a_run_keeps_the_first_images(held_out: int, split: str, tmp_path: Path) -> None:
    data = opened(validation={"size": held_out})
    record(tmp_path, data)
    expected = next(pixel_batches(data, split, COUNT))[0]
    kept = recorded(tmp_path)
    assert kept is not None
    assert np.array_equal(kept, expected)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_the_images_of_an_earlier_release(tmp_path: Path) -> None:
    record(tmp_path, opened())
    kept = recorded(tmp_path)
    (tmp_path / NAME).rename(tmp_path / "calibration.safetensors")
    again = recorded(tmp_path)
    assert FORMER_NAME == "calibration.safetensors"
    assert kept is not None
    assert again is not None
    assert np.array_equal(again, kept)


def test_a_run_without_kept_images(tmp_path: Path) -> None:
    assert recorded(tmp_path) is None


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"images": np.zeros((2, 3), np.float32)}, tmp_path / NAME)
    with pytest.raises(CheckpointError, match="does not hold images"):
        recorded(tmp_path)
