"""Mixup and cutmix against loops over images in numpy; their distributions; the loss of shared labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import TypeAdapter

from bnn_train.config.schema import CrossEntropy, Data
from bnn_train.data.mix import beta, mixed
from bnn_train.data.open import open_data
from bnn_train.spec.augment import CutMix, Mix, MixUp
from bnn_train.training.losses import criterion
from make_config import mistakes

WAY: TypeAdapter[MixUp | CutMix] = TypeAdapter(Mix)
IDS = np.arange(40, 72)
LABELS = torch.arange(32) % 5


def images() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(32, 2, 9, 6)).astype(np.float32))


def mix(*ways: Any, ids: Any = IDS) -> tuple[np.ndarray, np.ndarray]:
    found = [WAY.validate_python(way) for way in ways]
    x, shares = mixed(images(), LABELS, found, classes=5, seed=1, epoch=2, ids=ids)
    return x.numpy(), shares.numpy()


def test_mixup_by_hand() -> None:
    """λ of the image is λ of its label; it is read off the labels where the two classes differ."""
    x, shares = mix({"name": "mixup", "alpha": 1.0})
    plain = images().numpy()
    for i in range(32):
        other = (i + 1) % 32
        own = shares[i, LABELS[i]]
        if LABELS[i] == LABELS[other]:
            assert own == pytest.approx(1)
            continue
        assert shares[i, LABELS[other]] == pytest.approx(1 - own)
        np.testing.assert_allclose(x[i], own * plain[i] + (1 - own) * plain[other], atol=1e-6)
    assert np.allclose(shares.sum(axis=1), 1)


def test_cutmix_by_hand() -> None:
    """A rectangle of the next image, and a share of its label as large as the rectangle."""
    x, shares = mix("cutmix")
    plain, sizes = images().numpy(), set()
    for i in range(32):
        other = (i + 1) % 32
        foreign = (x[i] != plain[i]).all(axis=0)
        rows, columns = np.flatnonzero(foreign.any(axis=1)), np.flatnonzero(foreign.any(axis=0))
        assert foreign.sum() == len(rows) * len(columns)
        np.testing.assert_array_equal(x[i][:, foreign], plain[other][:, foreign])
        np.testing.assert_array_equal(x[i][:, ~foreign], plain[i][:, ~foreign])
        if LABELS[i] != LABELS[other]:
            assert shares[i, LABELS[other]] == pytest.approx(foreign.mean(), abs=1e-6)
        sizes.add(int(foreign.sum()))
    assert len(sizes) > 8


def test_both_by_turns_and_at_times() -> None:
    x, _ = mix({"name": "mixup", "probability": 0.5}, "cutmix")
    plain = images().numpy()
    whole = [(x[i] == plain[i]).all() for i in range(32)]
    parts = [(x[i] == plain[i]).any() and not (x[i] == plain[i]).all() for i in range(32)]
    assert 2 < sum(whole) < 20
    assert 4 < sum(parts) < 25


def test_draws_belong_to_the_sample() -> None:
    first, second = (beta(0.4, 1, 2, ids) for ids in (IDS, IDS[::-1].copy()))
    np.testing.assert_array_equal(first, second[::-1])


@pytest.mark.parametrize("alpha", [0.05, 0.2, 1.0, 2.0])
def test_beta(alpha: float) -> None:
    """Mean ½, variance 1 / (4·(2α + 1)), symmetric, inside [0, 1]."""
    found = beta(alpha, 1, 0, np.arange(20_000))
    assert 0 <= found.min() <= found.max() <= 1
    assert found.mean() == pytest.approx(0.5, abs=0.012)
    assert found.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.03)


def test_the_loop_is_given_shares_and_others_labels() -> None:
    section = {"name": "synthetic", "shape": [1, 4, 4], "num_classes": 3, "batch_size": 8, "mix": ["mixup"]}
    data = open_data(Data.model_validate(section), seed=1, device=torch.device("cpu"))
    assert next(data.train_batches(0))[1].dtype == torch.int64
    assert next(data.train_batches(0, mix=True))[1].shape == (8, 3)


def test_loss_of_shares() -> None:
    """−Σ share·log p, as if both labels had been shown in proportion."""
    base = criterion(CrossEntropy(name="cross_entropy", label_smoothing=0.1))
    logits = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    shares = torch.tensor([[0.3, 0.7, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0.5, 0.5, 0], [0, 0, 0, 0, 1]])
    smooth = 0.9 * shares + 0.1 / 5
    expected = -(smooth * F.log_softmax(logits, dim=1)).sum(dim=1).mean()
    assert float(base(logits, shares)) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("loss: square_hinge\ndata: {name: mnist, mix: [mixup]}", "data.mix: gives an image shares of two"),
        ("data: {name: mnist, mix: [cutmix], batch_size: 1}", "data.mix: mixes images of a batch"),
        ("data: {name: mnist, augment: [rand_augment, pad_crop_flip]}", "must come before rand_augment"),
        (
            "data: {name: mnist, augment: [{name: random_erasing, min_area: 0.5}]}",
            "min_area: must be at most max_area, 0.33",
        ),
        ("data: {name: synthetic, shape: [2, 8, 8], augment: [color_jitter]}", "these have 2 channels"),
    ],
)
def test_what_cannot_be_mixed(text: str, sentence: str, workdir: Path) -> None:
    assert any(sentence in told for told in mistakes(f"method: bnn\nmodel: mlp\n{text}\n"))
