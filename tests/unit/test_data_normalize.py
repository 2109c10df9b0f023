"""Every step against its formula in numpy (float64)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter

from bnn_train.config.schema import Normalization
from bnn_train.data.normalize import Normalizer
from bnn_train.errors import CheckpointError, DataError

CPU = torch.device("cpu")
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
Array = NDArray[np.float64]


def normalizer(*steps: Any, shape: tuple[int, int, int] = (3, 9, 8)) -> Normalizer:
    parsed = [TypeAdapter(Normalization).validate_python(step) for step in steps]
    return Normalizer(parsed, shape=shape, mean=MEAN[: shape[0]], std=STD[: shape[0]], device=CPU)


@pytest.fixture
def images() -> torch.Tensor:
    """Smooth and rough ones, a black and a white one: uint8 60×3×9×8."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (60, 3, 9, 8))
    x[:20] = x[:20] // 16 + 100
    x[20], x[21] = 0, 255
    return torch.from_numpy(x.astype(np.uint8))


def gcn(x: Array, scale: float, norm: str, bias: float) -> Array:
    centred = x - x.mean(axis=(1, 2, 3), keepdims=True)
    square = (centred**2).sum(axis=(1, 2, 3), keepdims=True)
    root = np.sqrt(bias + (square if norm == "l2" else square / centred[0].size))
    root[root / scale < 1e-8] = scale  # a constant image is left as it is
    return np.asarray(scale * centred / root)


def lcn(x: Array, size: int, threshold: float) -> Array:
    """Pixel by pixel, from the definition in pylearn2."""
    half = size // 2
    at = np.arange(-half, half + 1)
    window = np.exp(-(at[:, None] ** 2 + at[None, :] ** 2) / (2 * 2.0**2))
    window /= window.sum()
    padded = np.pad(x, ((0, 0), (0, 0), (half, half), (half, half)))
    mean, square = np.zeros_like(x), np.zeros_like(x)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            patch = padded[:, :, i : i + size, j : j + size]
            mean[:, :, i, j] = (patch * window).sum(axis=(2, 3))
            square[:, :, i, j] = (patch**2 * window).sum(axis=(2, 3))
    norm = np.sqrt(square)
    floor = np.maximum(norm.mean(axis=(2, 3), keepdims=True), threshold)
    return np.asarray((x - mean) / np.maximum(norm, floor))


CASES: list[tuple[Any, Any]] = [
    ("unit", lambda x: x / 255),
    ("signed", lambda x: x * 2 / 255 - 1),
    ("mean_std", lambda x: (x / 255 - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))),
    (
        {"name": "mean_std", "mean": [0.1, 0.2, 0.3], "std": [1.0, 0.5, 2.0]},
        lambda x: (x / 255 - np.reshape([0.1, 0.2, 0.3], (3, 1, 1))) / np.reshape([1.0, 0.5, 2.0], (3, 1, 1)),
    ),
    ("gcn", lambda x: gcn(x, 55.0, "l2", 0.0)),
    ({"name": "gcn", "norm": "std", "scale": 1.0, "bias": 10.0}, lambda x: gcn(x, 1.0, "std", 10.0)),
    ("lcn", lambda x: lcn(x, 7, 1e-4)),
    ({"name": "lcn", "kernel": 3, "threshold": 90.0}, lambda x: lcn(x, 3, 90.0)),
]


@pytest.mark.parametrize(
    ("step", "truth"), CASES, ids=lambda case: str(case) if isinstance(case, str) else None
)
def test_fixed_steps(step: Any, truth: Any, images: torch.Tensor) -> None:
    result = normalizer(step)(images)
    assert result.dtype == torch.float32
    np.testing.assert_allclose(result.numpy(), truth(images.numpy().astype(np.float64)), rtol=1e-4, atol=1e-4)


def test_gcn_norm_of_a_cifar_image() -> None:
    """pylearn2's 55 makes the standard deviation of a CIFAR-10 image 55/√3072."""
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 3, 32, 32)).astype(np.uint8))
    result = normalizer("gcn", shape=(3, 32, 32))(image)
    assert float(result.std(correction=0)) == pytest.approx(55 / 3072**0.5, rel=1e-5)


def test_pixel_mean(images: torch.Tensor) -> None:
    own = normalizer("pixel_mean")
    own.fit(images)
    x = images.numpy() / 255.0
    np.testing.assert_allclose(own(images[:5]).numpy(), x[:5] - x.mean(axis=0), atol=1e-6)


def test_gcn_of_a_nearly_constant_image_and_of_a_constant_one() -> None:
    """pylearn2 divides by anything from 1e-8 up, and by 1 below."""
    faint = torch.full((2, 1, 4, 4), 100, dtype=torch.uint8)
    faint[0, 0, 0, 0] = 101
    result = normalizer({"name": "gcn", "norm": "std", "scale": 1000.0}, shape=(1, 4, 4))(faint).numpy()
    assert result[0].std() == pytest.approx(1000, rel=1e-4)
    np.testing.assert_array_equal(result[1], 0)


def test_a_step_is_fitted_on_the_output_of_those_before_it(images: torch.Tensor) -> None:
    own = normalizer("signed", "pixel_mean")
    own.fit(images)
    expected = (images.numpy() / 127.5 - 1).mean(axis=0) / 255
    np.testing.assert_allclose(own.state()["1.mean"].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("count", [20, 2500])
def test_zca_after_gcn(count: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (count, 3, 4, 4)).astype(np.uint8)
    images = torch.from_numpy(pixels)
    own = normalizer("gcn", {"name": "zca", "bias": 0.1}, shape=(3, 4, 4))
    own.fit(images)
    x = gcn(images.numpy().astype(np.float64), 55.0, "l2", 0.0).reshape(count, 48)
    mean = x.mean(axis=0)
    covariance = (x - mean).T @ (x - mean) / count
    values, vectors = np.linalg.eigh(covariance)
    whitened = (x - mean) @ vectors @ np.diag(1 / np.sqrt(values + 0.1)) @ vectors.T
    np.testing.assert_allclose(own(images).numpy().reshape(count, 48), whitened, rtol=2e-4, atol=2e-4)


def test_svhn_chain(images: torch.Tensor) -> None:
    chain = normalizer({"name": "gcn", "norm": "std", "scale": 1.0, "bias": 10.0}, "lcn")
    truth = lcn(gcn(images.numpy().astype(np.float64), 1.0, "std", 10.0), 7, 1e-4)
    np.testing.assert_allclose(chain(images).numpy(), truth, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("steps", [("mean_std",), ("pixel_mean",), ("gcn", "zca"), ("gcn", "lcn")])
def test_an_image_does_not_depend_on_its_batch(steps: tuple[str, ...], images: torch.Tensor) -> None:
    own = normalizer(*steps)
    own.fit(images)
    whole = own(images)
    for size in (1, 7, 33):
        parts = [own(part) for part in torch.split(images, size)]
        assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("steps", [("signed",), ("mean_std",), ("pixel_mean",), ("gcn", "zca")])
def test_state_carries_all(steps: tuple[str, ...], images: torch.Tensor) -> None:
    own, other = normalizer(*steps), normalizer(*steps)
    own.fit(images)
    other.load({name: tensor.clone() for name, tensor in own.state().items()})
    assert torch.equal(own(images), other(images))


def test_stored_constants_win_over_the_data_sets(images: torch.Tensor) -> None:
    own = normalizer("mean_std")
    own.load({"0.mean": torch.zeros(3), "0.std": torch.ones(3)})
    np.testing.assert_allclose(own(images).numpy(), images.numpy() / 255.0, atol=1e-6)


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"0.mean": torch.zeros(3, 9, 8), "0.extra": torch.zeros(1)},
        {"0.mean": torch.zeros(3, 9, 9)},
        {"1.mean": torch.zeros(3, 9, 8)},
    ],
)
def test_foreign_state_is_refused(state: dict[str, torch.Tensor]) -> None:
    with pytest.raises(CheckpointError, match=r"stored preprocessing .*\(0\.mean 3×9×8\);"):
        normalizer("pixel_mean").load(state)


def test_needs_fit() -> None:
    assert [
        normalizer(step).needs_fit for step in ("unit", "mean_std", "gcn", "lcn", "pixel_mean", "zca")
    ] == [
        *[False] * 4,
        *[True] * 2,
    ]


def test_one_value_for_all_channels(images: torch.Tensor) -> None:
    own = normalizer({"name": "mean_std", "mean": [0.5], "std": [0.25]})
    assert {name: t.tolist() for name, t in own.state().items()} == {"0.mean": [0.5] * 3, "0.std": [0.25] * 3}


def test_steps_that_do_not_fit() -> None:
    with pytest.raises(DataError, match="2 values for 3 channels"):
        normalizer({"name": "mean_std", "mean": [0.1, 0.2]})
    with pytest.raises(DataError, match="lcn's kernel is 4"):
        normalizer({"name": "lcn", "kernel": 4})
