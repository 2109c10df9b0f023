"""Counting: against rankings made by Python's sort, and published intervals."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from bnn_train.errors import DataError
from bnn_train.inspect.evaluation import Evaluation, Tally, wilson


def tally(logits: Tensor, labels: Tensor, batch: int) -> Evaluation:
    result = Tally(logits.shape[1])
    for x, y in zip(logits.split(batch), labels.split(batch), strict=True):
        result.add(x, y, loss=float(y.double().mean()))
    return result.result()


def right_at(row: list[float], label: int, k: int) -> bool:
    """Fewer than k classes stand before the label; equal logits stand in the order of the classes."""
    order = sorted(range(len(row)), key=lambda c: (-row[c], c))
    return label in order[:k]


@pytest.mark.parametrize("batch", [1, 7, 64, 1000])
def test_counts_at_any_batch_size(batch: int) -> None:
    logits = torch.randint(-3, 4, (333, 11)).float()  # full of ties
    labels = torch.randint(0, 11, (333,))
    result = tally(logits, labels, batch)
    rows = list(zip(logits.tolist(), labels.tolist(), strict=True))
    expected = torch.zeros(11, 11, dtype=torch.int64)
    for row, label in rows:
        expected[label, row.index(max(row))] += 1
    assert torch.equal(result.confusion, expected)
    assert result.confusion.dtype == torch.int64
    assert result.top1_correct == sum(right_at(row, label, 1) for row, label in rows)
    assert result.top5_correct == sum(right_at(row, label, 5) for row, label in rows)
    assert result.total == 333
    assert result.top1 == 100 * result.top1_correct / 333
    assert result.top5 == 100 * result.top5_correct / 333
    assert result.loss == pytest.approx(labels.double().mean().item(), rel=1e-12)


@pytest.mark.parametrize("classes", [10, 1000])  # an unstable sort shows from some hundred on
def test_a_constant_network_is_right_by_class_index_alone(classes: int) -> None:
    result = tally(torch.zeros(classes, classes), torch.arange(classes), 300)
    assert (result.top1_correct, result.top5_correct) == (1, 5)
    assert result.confusion[:, 0].sum() == classes


def test_few_classes_are_all_among_five() -> None:
    result = tally(torch.randn(50, 4), torch.randint(0, 4, (50,)), 8)
    assert result.top5 == 100


def test_nan_is_never_right() -> None:
    logits = torch.eye(6) * 9
    logits[0, 0] = math.nan  # the truth's own logit
    logits[1, 3] = math.nan  # another one
    logits[2] = math.nan
    logits[3, 0] = -math.inf
    logits[4, 4] = math.inf
    result = tally(logits, torch.arange(6), 6)
    assert (result.top1_correct, result.top5_correct, result.total) == (3, 3, 6)
    assert result.class_totals.tolist() == [1] * 6
    assert result.per_class == [0, 0, 0, 100, 100, 100]


def test_per_class() -> None:
    confusion = torch.tensor([[3, 1, 0], [0, 5, 0], [0, 0, 0]])
    result = Evaluation(confusion=confusion, top5_correct=9, total=9, loss=0.0)
    assert result.per_class == [75, 100, None]


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [
        (9000, 10000, 89.40, 90.57),
        (0, 10, 0.0, 27.75),  # Brown, Cai & DasGupta (2001): z²/(n + z²)
        (10, 10, 72.25, 100.0),
        (15, 50, 19.10, 43.75),
    ],
)
def test_wilson(correct: int, total: int, low: float, high: float) -> None:
    assert wilson(correct, total) == pytest.approx((low, high), abs=0.006)


@pytest.mark.parametrize(("correct", "total"), [(3, 40), (250, 251)])
def test_wilson_solves_its_equation(correct: int, total: int) -> None:
    """Both ends lie z standard errors, taken at the end itself, from the observed share."""
    for end in wilson(correct, total):
        p = end / 100
        error = 1.959963985 * math.sqrt(p * (1 - p) / total)
        assert abs(correct / total - p) == pytest.approx(error, rel=1e-6)


def test_intervals_of_top1_and_top5() -> None:
    confusion = torch.tensor([[9000, 1000], [0, 0]])
    result = Evaluation(confusion=confusion, top5_correct=9900, total=10000, loss=0.0)
    assert result.interval() == wilson(9000, 10000)
    assert result.interval(5) == wilson(9900, 10000)


def test_a_class_count_that_does_not_fit_is_told() -> None:
    with pytest.raises(DataError, match="answers 3 classes, the data has 4"):
        Tally(4).add(torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64))
    for labels, sentence in (
        ([0, 4], "labels run from 0 to 4, but 4 classes"),
        ([-1, 1], "labels run from -1"),
    ):
        tally = Tally(4)
        tally.add(torch.zeros(2, 4), torch.tensor(labels))
        with pytest.raises(DataError, match=sentence):
            tally.result()


def test_no_images_is_told() -> None:
    with pytest.raises(DataError, match="no images"):
        Tally(4).result()
