"""Histograms, filters and sheets of pictures: the numbers and the pixels in them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bnn_train.binary.layers import BinaryConv2d, BinaryLinear
from bnn_train.inspect.filters import first_filters
from bnn_train.inspect.histograms import BINS, is_told, latent_histograms
from bnn_train.report.mistakes import Mistake
from bnn_train.report.numbers import bytes_told, confused_most, duration, latency, short
from bnn_train.report.pictures import confusion_sheet, filter_images, filter_sheet, mistake_sheet
from bnn_train.report.predictions import Prediction, worst
from bnn_train.training.answers import Answers


def prediction(label: str, answer: str, margin: float) -> Prediction:
    return Prediction("0", label, answer, 0.5, margin)


def test_a_histogram_by_hand() -> None:
    layer = BinaryLinear(4, 1, method="bnn", role="body")
    layer.weight.data = torch.tensor([[-1.0, -0.01, 0.01, 0.99]])
    found = latent_histograms(nn.Sequential(layer))
    counts = found["counts"]["0"]
    assert found["edges"] == {"0": 1.0}
    assert [i for i, n in enumerate(counts) if n] == [0, BINS // 2 - 1, BINS // 2, BINS - 1]
    assert latent_histograms(nn.Linear(2, 2)) == {}


@pytest.mark.parametrize(("epochs", "most"), [(1, 1), (2, 2), (50, 50), (60, 31), (400, 51)])
def test_told_epochs_are_few_with_the_first_and_the_last(epochs: int, most: int) -> None:
    told = [epoch for epoch in range(1, epochs + 1) if is_told(epoch, epochs)]
    assert (told[0], told[-1]) == (1, epochs)
    assert len(told) == most


def test_filters_of_a_convolution_and_of_a_dense_layer() -> None:
    conv = BinaryConv2d(3, 5, 3, method="bnn", role="first")
    found = first_filters(nn.Sequential(conv, nn.Conv2d(5, 5, 1)), (3, 8, 8))
    assert found is not None
    assert found.layer == "0"
    assert found.codes is not None
    np.testing.assert_array_equal(found.values[2, 0, 1], conv.weight.detach()[2, :, 0, 1].numpy())
    np.testing.assert_array_equal(found.codes, np.where(found.values < 0, -1, 1))
    dense = first_filters(nn.Sequential(nn.Flatten(), nn.Linear(48, 100)), (3, 4, 4))
    assert dense is not None
    assert dense.values.shape == (64, 4, 4, 3)
    assert (dense.total, dense.codes) == (100, None)
    assert first_filters(nn.Linear(7, 2), (1, 4, 4)) is None
    assert first_filters(nn.ReLU(), (1, 4, 4)) is None


def test_colours_of_filters() -> None:
    one = np.array([-2.0, 0.0, 2.0, 1.0], np.float32).reshape(1, 2, 2, 1)
    (picture,) = filter_images(one)
    assert picture[0, 0].tolist() == [37, 99, 235]
    assert picture[0, 1].tolist() == [255, 255, 255]
    assert picture[1, 0].tolist() == [217, 119, 6]
    (colour,) = filter_images(np.zeros((1, 2, 2, 3), np.float32))
    assert set(colour.ravel().tolist()) <= {127, 128}


def test_sheets_have_three_channels() -> None:
    images = [np.zeros((8, 8, 1), np.uint8), np.zeros((200, 100, 3), np.uint8)]
    mistakes = [Mistake(prediction("a\nvery long name of a class", "b", -1.0), image) for image in images]
    filters = first_filters(BinaryConv2d(1, 20, 3, method="bnn", role="first"), (1, 8, 8))
    assert filters is not None
    sheets = [
        mistake_sheet(mistakes),
        filter_sheet(filters),
        confusion_sheet([[3, 1], [0, 2]], ["cat", "dog"]),
        confusion_sheet(np.eye(40, dtype=int).tolist(), [str(i) for i in range(40)]),
    ]
    for sheet in sheets:
        assert sheet.dtype == np.uint8
        assert sheet.shape[2] == 3
        assert sheet.min() < sheet.max()


def test_margins_by_hand() -> None:
    from types import SimpleNamespace
    from typing import Any

    answers = Answers()
    answers.see(torch.tensor([[2.0, 1.0, 0.0], [1.0, 1.0, 0.0]]), torch.tensor([0, 2]))
    answers.see(torch.tensor([[float("nan"), 0.0, 0.0]]), torch.tensor([1]))
    split = SimpleNamespace(positions=np.array([5, 7, 9]))
    data: Any = SimpleNamespace(classes=("x", "y", "z"), splits={"test": split}, names=lambda split: None)
    first, second, third = answers.predictions(data, "test")
    assert (first.image, first.label, first.answer, first.margin) == ("5", "x", "x", 1.0)
    assert first.probability == pytest.approx(np.exp(2) / (np.exp(2) + np.exp(1) + 1))
    assert (second.label, second.answer, second.margin) == ("z", "x", -1.0)
    assert (third.answer, third.probability, third.margin) == ("-", 0.0, float("-inf"))
    assert worst([first, second, third], 5) == [2, 1]


def test_numbers_as_they_are_told() -> None:
    assert [short(n) for n in (7, 1234, 12_345, 1_310_000)] == ["7", "1,234", "12.3 k", "1.31 M"]
    assert [bytes_told(n) for n in (12, 52_808, 1_220_808)] == ["12 B", "52.8 kB", "1.22 MB"]
    assert [duration(s) for s in (2.04, 62, 3700)] == ["2.0 s", "1 min 02 s", "1 h 01 min"]
    assert [latency(ms) for ms in (0.0461, 1.36)] == ["46.1 µs", "1.36 ms"]
    assert confused_most([[9, 1, 2], [0, 9, 2], [3, 0, 9]], 2) == [(3, 2, 0), (2, 0, 2)]
