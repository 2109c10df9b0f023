"""Clipping at other bounds than 1, and Keras' initial values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from bnn_train.binary.estimators import ESTIMATORS
from bnn_train.binary.layers import BinaryConv2d
from bnn_train.models.init import glorot_normal, he_normal
from bnn_train.spec.estimators import Clip
from bnn_train.spec.method import LatentSpec
from bnn_train.spec.methods import METHODS


@pytest.mark.parametrize("bound", [1.0, 1.25, 1.3, 0.7, 1.5, 3.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_bound_itself_passes_and_the_next_number_does_not(bound: float, dtype: type) -> None:
    edge = dtype(bound)
    beyond = np.nextafter(edge, dtype(9), dtype=dtype)
    x: Any = np.array([edge, -edge, beyond, -beyond, 0.0, -0.0, np.nextafter(edge, dtype(0)), 9], dtype)
    g = torch.arange(1.0, 9.0, dtype=torch.from_numpy(x).dtype)
    found = ESTIMATORS.build(Clip(bound=bound)).slope(g, torch.from_numpy(x))
    np.testing.assert_array_equal(found.numpy(), np.where(np.abs(x) <= edge, g.numpy(), 0))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_in_short_floats(dtype: torch.dtype) -> None:
    edge = torch.tensor(1.3, dtype=dtype)
    x = torch.stack([edge, -edge, edge * 1.01, -edge * 1.01])
    assert ESTIMATORS.build(Clip(bound=1.3)).slope(torch.ones_like(x), x).tolist() == [1, 1, 0, 0]


def test_its_piece_is_the_line_within() -> None:
    estimator = ESTIMATORS.build(Clip(bound=1.3))
    x0 = torch.tensor([1.2, 1.4, -1.3], dtype=torch.float64)
    assert torch.allclose(estimator.piece(x0 + 0.01, x0), torch.tensor([0.01, 0.0, 0.01], dtype=x0.dtype))


@pytest.mark.parametrize(
    ("init", "bound", "deviation"),
    [
        ("glorot_normal", 2 / 0.87962566103423978, 1.0),  # in deviations
        ("glorot_uniform", 3**0.5, 1.0),
    ],
)
def test_keras_initial_latent_weights(init: str, bound: float, deviation: float) -> None:
    """Variance 2/(fan_in + fan_out), with k²·channels for fans; both end where Keras' do."""
    torch.manual_seed(0)
    row = METHODS["bnn"].model_copy(update={"latent": LatentSpec.model_validate({"init": init})})
    w = BinaryConv2d(40, 60, 3, method=row, role="body").weight.detach()
    unit = math.sqrt(2 / (9 * 40 + 9 * 60))
    assert float(w.std()) == pytest.approx(deviation * unit, rel=0.02)
    assert 0.97 * bound * unit < float(w.abs().max()) <= bound * unit * 1.0001


@pytest.mark.parametrize(("draw", "variance"), [(glorot_normal, 2 / (9 * 110)), (he_normal, 2 / (9 * 40))])
def test_keras_initial_real_weights(draw: object, variance: float) -> None:
    torch.manual_seed(0)
    w = draw(torch.empty(70, 40, 3, 3))  # type: ignore[operator]
    assert float(w.std()) == pytest.approx(math.sqrt(variance), rel=0.02)
    assert float(w.abs().max()) <= 2 * math.sqrt(variance) / 0.8796 * 1.0001
