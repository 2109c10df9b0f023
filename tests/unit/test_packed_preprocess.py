"""The packed preprocessing against the training's Normalizer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from bnn_train.data.normalize import Normalizer
from bnn_train.packed.preprocess import apply
from bnn_train.packed.preprocess_rules import KINDS
from bnn_train.packed.program import Preprocess
from bnn_train.spec.data import GCN, LCN, ZCA, MeanStd, PixelMean, Scale01, Signed
from bounds import assert_within, gamma

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 6, 5, 3), dtype=np.uint8)
IMAGES[1] = 7  # no contrast at all
STEPS: dict[str, Any] = {
    "scale01": Scale01(name="unit"),
    "signed": Signed(name="signed"),
    "mean_std": MeanStd(name="mean_std"),
    "pixel_mean": PixelMean(name="pixel_mean"),
    "gcn": GCN(name="gcn"),
    "gcn-std": GCN(name="gcn", norm="std", scale=1.0, bias=10.0),
    "zca": ZCA(name="zca"),
    "lcn": LCN(name="lcn", kernel=5),
}


def twin(names: list[str]) -> tuple[Normalizer, tuple[Preprocess, ...], dict[str, np.ndarray]]:
    """The fitted steps in training's form and in the file's."""
    steps = [STEPS[name] for name in names]
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    normalizer = Normalizer(steps, shape=(3, 6, 5), mean=mean, std=std, device=torch.device("cpu"))
    normalizer.fit(torch.from_numpy(IMAGES).permute(0, 3, 1, 2))
    tensors = {name: t.numpy() for name, t in normalizer.state().items()}
    packed = []
    for i, (name, step) in enumerate(zip(names, steps, strict=True)):
        kind = name.partition("-")[0]
        own = {key.partition(".")[2]: key for key in tensors if key.startswith(f"{i}.")}
        options = {key: getattr(step, key) for key in KINDS[kind].options}
        packed.append(Preprocess(kind=kind, options=options, tensors=own))  # type: ignore[arg-type]
    return normalizer, tuple(packed), tensors


def slack(names: list[str], tensors: dict[str, np.ndarray]) -> Any:
    """The most that two float32 evaluations of the last step may lie apart, for N×C×H×W or for all alike.

    Means, norms and windowed means of n numbers are off by γₙ of what they are made of, on either side, and
    the division that follows enlarges it by the condition of the difference that it divides.
    """
    x = IMAGES.astype(np.float64).transpose(0, 3, 1, 2).reshape(len(IMAGES), -1)
    uneven, worst = x[x.std(axis=1) > 0], 4 * gamma(x.shape[1])
    kind = names[-1].partition("-")[0]
    if kind == "gcn":
        centred = uneven - uneven.mean(axis=1, keepdims=True)
        condition = (np.linalg.norm(uneven, axis=1) / np.linalg.norm(centred, axis=1)).max()
        return worst * condition * abs(apply(IMAGES, twin(names)[1], tensors)).max()
    if kind == "lcn":  # a quarter of the window at least lies inside, so that the divisor is ≥ mean |x|/4
        return worst * 4 * (x.max(axis=1) / x.mean(axis=1)).max()
    if kind == "zca":
        mean, matrix = (
            abs(tensors[f"{len(names) - 1}.{key}"].astype(np.float64)) for key in ("mean", "matrix")
        )
        steps, before = twin(names)[1][:-1], slack(names[:-1], tensors) if names[1:] else 0.0
        given = apply(IMAGES, steps, tensors).transpose(0, 3, 1, 2).reshape(x.shape)
        moved = (2 * gamma(x.shape[1] + 2) * (abs(given) + mean) + before) @ matrix
        return moved.reshape(len(IMAGES), 3, 6, 5)
    return 2**-20  # no sums


@pytest.mark.parametrize("names", [[name] for name in STEPS] + [["gcn", "zca"], ["scale01", "lcn"]])
def test_as_in_training(names: list[str]) -> None:
    normalizer, steps, tensors = twin(names)
    truth = normalizer(torch.from_numpy(IMAGES).permute(0, 3, 1, 2)).numpy()
    found = apply(IMAGES, steps, tensors)
    assert found.dtype == np.float32
    assert found.shape == IMAGES.shape
    assert_within(found.transpose(0, 3, 1, 2), truth, slack(names, tensors))


def test_whitening_with_statistics_in_float64_is_its_formula() -> None:
    """The bound for float32 sums is wide; these are rounded once, at the end."""
    _, steps, tensors = twin(["zca"])
    precise = {name: t.astype(np.float64) for name, t in tensors.items()}
    x = IMAGES.astype(np.float64).transpose(0, 3, 1, 2).reshape(len(IMAGES), -1)
    truth = (x - precise["0.mean"]) @ precise["0.matrix"]
    found = apply(IMAGES, steps, precise).transpose(0, 3, 1, 2).reshape(x.shape)
    assert_within(found, truth, gamma(1) * abs(truth) + 1e-9)


@pytest.mark.parametrize("name", ["scale01", "signed", "mean_std", "pixel_mean"])
def test_pixel_by_pixel_steps_are_equal_bit_for_bit(name: str) -> None:
    normalizer, steps, tensors = twin([name])
    truth = normalizer(torch.from_numpy(IMAGES).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
    found = apply(IMAGES, steps, tensors)
    if name == "signed":  # x·(2/255) − 1: PyTorch may fuse the two
        assert_within(found, truth, gamma(2))
    else:
        assert np.array_equal(found, truth)


def test_every_kind_has_a_formula() -> None:
    assert {name.partition("-")[0] for name in STEPS} == set(KINDS)
