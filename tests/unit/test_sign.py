"""sign: x < 0 → −1, everything else → +1."""

import numpy as np
import pytest
import torch

from bnn_train.binary.sign import sign

SPECIAL = [0.0, -0.0, float("nan"), -float("nan"), 1e-45, -1e-45, 3.0, -3.0, float("inf"), -float("inf")]
EXPECTED = [1, 1, 1, 1, 1, -1, 1, -1, 1, -1]


@pytest.mark.parametrize("length", [1, 7, 8, 16, 33, 257])
def test_special_values_at_every_vector_lane(length: int) -> None:
    for value, expected in zip(SPECIAL, EXPECTED, strict=True):
        x = torch.full((length,), value)
        assert sign(x).tolist() == [expected] * length


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_agrees_with_the_definition_in_every_dtype(dtype: torch.dtype) -> None:
    x = torch.randn(1000, generator=torch.Generator().manual_seed(0)).to(dtype)
    x[::7] = 0.0
    x[3::7] = -0.0
    expected = np.where(x.double().numpy() < 0, -1.0, 1.0)
    assert sign(x).dtype == dtype
    np.testing.assert_array_equal(sign(x).double().numpy(), expected)


def test_keeps_layout() -> None:
    x = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    assert sign(x).is_contiguous(memory_format=torch.channels_last)
