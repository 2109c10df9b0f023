"""Losses against their formulas written out in numpy."""

import numpy as np
import pytest
import torch

from bnn_train.config.schema import CrossEntropy, SquareHinge
from bnn_train.training.losses import criterion

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(6, 4)) * 2
LABELS = np.array([0, 3, 1, 1, 2, 0])


def value(loss: CrossEntropy | SquareHinge) -> float:
    return float(criterion(loss)(torch.from_numpy(LOGITS), torch.from_numpy(LABELS)))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_square_hinge(reduction: str) -> None:
    targets = -np.ones_like(LOGITS)
    targets[np.arange(6), LABELS] = 1
    terms = np.maximum(0, 1 - targets * LOGITS) ** 2
    expected = terms.mean() if reduction == "mean" else terms.sum(axis=1).mean()
    assert value(SquareHinge(name="square_hinge", reduction=reduction)) == pytest.approx(expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_with_label_smoothing(smoothing: float) -> None:
    log_p = LOGITS - np.log(np.exp(LOGITS).sum(axis=1, keepdims=True))
    targets = np.full_like(LOGITS, smoothing / 4)
    targets[np.arange(6), LABELS] += 1 - smoothing
    expected = -(targets * log_p).sum(axis=1).mean()
    assert value(CrossEntropy(name="cross_entropy", label_smoothing=smoothing)) == pytest.approx(expected)
