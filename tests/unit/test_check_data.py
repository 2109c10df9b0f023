"""The instruments for data: each fault made here must be named."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from bnn_train.check import data_pixels
from bnn_train.check.data_labels import labels
from bnn_train.check.data_pixels import pixels
from bnn_train.check.subject import Subject
from bnn_train.data.normalize import Normalizer
from bnn_train.data.sources import TensorSource
from bnn_train.spec.datasets import DATASETS
from check_subject import lines, subject, verdicts

STEPS: tuple[list[Any], ...] = (
    ["unit"],
    ["signed"],
    ["mean_std"],
    ["pixel_mean"],
    ["gcn"],
    ["gcn", "zca"],
    ["gcn", "lcn"],
)


def source(s: Subject) -> TensorSource:
    found = s.data.splits["train"].source
    assert isinstance(found, TensorSource)
    return found


def prepared_as(names: list[Any], claimed: list[Any]) -> Subject:
    """Data prepared by ``names`` under a config that says ``claimed``."""
    of = {"shape": [3, 6, 6], "num_classes": 4}
    wrong, right = (subject(data={**of, "normalize": steps}) for steps in (names, claimed))
    return dataclasses.replace(right, data=dataclasses.replace(right.data, normalizer=wrong.data.normalizer))


@pytest.mark.parametrize("names", STEPS, ids=lambda names: "-".join(names))
def test_a_preparation_keeps_its_promise(names: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    row = DATASETS["synthetic"].model_copy(update={"mean": (0.51,), "std": (0.29,)})  # of these seeds
    monkeypatch.setitem(DATASETS, "synthetic", row)
    found = verdicts(pixels, subject(data={"normalize": names, "shape": [3, 6, 6]}))
    assert found == {"data pixels": "ok", "data normalized": "ok"}


@pytest.mark.parametrize(
    ("names", "claimed"),
    [
        (["signed"], ["unit"]),
        (["mean_std"], ["signed"]),
        ([{"name": "mean_std", "std": [0.004] * 3}], ["mean_std"]),
        (["unit"], ["mean_std"]),
        (["unit"], ["pixel_mean"]),
        (["signed"], ["gcn"]),
        (["gcn"], ["gcn", "zca"]),
        (["unit"], ["gcn", "lcn"]),
    ],
    ids=str,
)
def test_another_preparation_is_seen(names: list[Any], claimed: list[Any]) -> None:
    assert verdicts(pixels, prepared_as(names, claimed))["data normalized"] != "ok"


def test_foreign_constants_are_wrong() -> None:
    s = subject(data={"normalize": [{"name": "mean_std", "mean": [0.9], "std": [0.25]}]})
    line = lines(pixels, s)["data normalized"]
    assert line.verdict == "wrong"
    assert "-1.6" in line.measured  # (0.5 − 0.9)/0.25
    assert "data.normalize" in line.advice


def test_other_pixels_than_the_catalogs_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    row = DATASETS["synthetic"].model_copy(update={"mean": (0.1,)})
    monkeypatch.setitem(DATASETS, "synthetic", row)
    assert verdicts(pixels, subject())["data pixels"] == "wrong"


def test_the_statistics_are_those_of_the_pixels() -> None:
    s = subject(data={"shape": [3, 6, 6]})
    x = source(s).images[torch.from_numpy(s.data.splits["train"].positions)].double() / 255
    mean = "/".join(f"{float(v):.4f}" for v in x.mean(dim=(0, 2, 3)))
    std = "/".join(f"{float(v):.4f}" for v in x.transpose(0, 1).flatten(1).std(dim=1, correction=0))
    assert f"mean {mean}, std {std}" in lines(pixels, s)["data pixels"].measured


def test_a_file_of_two_alternating_kinds_is_read_fairly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every second image at 0.3, the others at 0.7: mean 0.5 and standard deviation 0.2."""
    s = subject(data={"train_limit": 400, "normalize": [{"name": "mean_std", "mean": [0.5], "std": [0.2]}]})
    own = torch.from_numpy(s.data.splits["train"].positions)
    source(s).images[own[::2]], source(s).images[own[1::2]] = 77, 178
    row = DATASETS["synthetic"].model_copy(update={"mean": (0.5,), "std": (0.2,)})
    monkeypatch.setitem(DATASETS, "synthetic", row)
    monkeypatch.setitem(data_pixels.SAMPLES, "tensor", 200)
    monkeypatch.setattr(data_pixels, "PREPARED", 200)
    assert verdicts(pixels, s) == {"data pixels": "ok", "data normalized": "ok"}


def test_constant_images_are_wrong() -> None:
    s = subject()
    source(s).images.fill_(7)
    assert verdicts(labels, s)["data first batch"] == "wrong"
    assert verdicts(pixels, s)["data pixels"] == "wrong"


def test_nan_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    s = subject()

    def broken(self: Normalizer, images: Tensor) -> Tensor:
        return images.float() * torch.nan

    monkeypatch.setattr(Normalizer, "__call__", broken)
    assert verdicts(pixels, s)["data normalized"] == "wrong"
    assert verdicts(labels, s)["data first batch"] == "wrong"


def test_the_same_image_again_and_again_is_wrong() -> None:
    s = subject()
    source(s).images.copy_(source(s).images[:1].clone().expand_as(source(s).images))
    line = lines(labels, s)["data first batch"]
    assert line.verdict == "wrong"
    assert "all the same" in line.measured


def test_labels_outside_are_wrong() -> None:
    s = subject()
    source(s).labels[s.data.splits["train"].positions[0]] = 4
    line = lines(labels, s)["data labels"]
    assert line.verdict == "wrong"
    assert "1 labels outside [0, 3]" in line.measured


@pytest.mark.parametrize(("limit", "verdict"), [(80, "look"), (400, "wrong")])
def test_a_missing_class(limit: int, verdict: str) -> None:
    s = subject(data={"train_limit": limit})
    numbers = source(s).labels
    numbers[numbers == 2] = 1
    line = lines(labels, s)["data labels"]
    assert (line.verdict, "none of 2" in line.measured) == (verdict, True)


def test_uneven_classes_are_to_look_at() -> None:
    s = subject(data={"train_limit": 400})
    numbers = source(s).labels
    own = torch.from_numpy(s.data.splits["train"].positions)
    numbers[own[numbers[own] == 2][:-8]] = 1
    assert verdicts(labels, s)["data labels"] == "look"


def test_a_batch_of_one_class_is_to_look_at() -> None:
    s = subject()
    source(s).labels.fill_(1)
    assert verdicts(labels, s)["data first batch"] == "look"


def test_a_part_is_told_from_the_whole() -> None:
    assert verdicts(labels, subject())["data files"] == "look"
    whole = subject(data={"train_limit": None, "test_limit": None})
    assert verdicts(labels, whole) == dict.fromkeys(("data files", "data labels", "data first batch"), "ok")
