"""Thresholds by bisection against the torch modules: at every whole number, beside the flips of floats."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bnn_train.binary.input_quantizer import InputQuantizer
from bnn_train.export.graph import Key
from bnn_train.export.numbers import Function, apply, chain_function
from bnn_train.export.thresholds import LARGEST, float_thresholds, integer_thresholds, of_ordinal
from bnn_train.spec.method import ActivationSpec
from bnn_train.spec.quantizers import Sign, Uniform

BOUND = 60
GAMMAS = torch.tensor([1.0, -1.0, 0.0, -0.0, 0.3, -0.02, 1e-4, 30.0, -1e-30])


def norm(seed: int = 0, two: bool = True) -> Any:
    draw = torch.Generator().manual_seed(seed)
    module: Any = (nn.BatchNorm2d if two else nn.BatchNorm1d)(len(GAMMAS), eps=1e-4).eval()
    with torch.no_grad():
        module.weight.copy_(GAMMAS)
        module.bias.copy_(torch.randn(len(GAMMAS), generator=draw))
        module.running_mean.copy_(torch.randn(len(GAMMAS), generator=draw) * 10)
        module.running_var.copy_(torch.rand(len(GAMMAS), generator=draw) * 40)
    return module


CHAINS: dict[str, list[nn.Module]] = {
    "norm": [norm()],
    "norm of vectors": [norm(1, two=False)],
    "norm, relu, norm": [norm(2), nn.ReLU(), norm(3)],
    "hardtanh, norm": [nn.Hardtanh(), norm(4)],
    "norm, hardtanh": [norm(5), nn.Hardtanh()],
    "relu": [nn.ReLU()],
    "nothing": [],
}
SPECS = {
    "sign": ActivationSpec(quantizer=Sign()),
    "1 bit": ActivationSpec(quantizer=Uniform(bits=1)),
    "2 bits": ActivationSpec(quantizer=Uniform(bits=2)),
    "4 bits": ActivationSpec(quantizer=Uniform(bits=4)),
}


def codes(chain: str, spec: str) -> Function:
    """From numbers M×C to level numbers 0…L of the quantizer behind a chain."""
    through = chain_function(CHAINS[chain])
    quantizer = InputQuantizer(SPECS[spec], 0)
    return lambda x: quantizer.decompose(through(x)).numbers


def levels(spec: str) -> int:
    return Key(InputQuantizer(SPECS[spec], 0)).levels


def counted(values: np.ndarray, flip: np.ndarray, y: np.ndarray, sign: bool) -> np.ndarray:
    """The count of thresholds not failed, as ``program.Thresholds`` defines it, for numbers M×C."""
    failed = np.where(flip, y[:, None] > values, y[:, None] < values)
    passed = (~failed).sum(axis=1)
    return np.asarray(2 * passed - 1 if sign else passed)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("chain", CHAINS)
def test_every_whole_number(chain: str, spec: str) -> None:
    function = codes(chain, spec)
    scale, bias = torch.rand(len(GAMMAS)) / 7, torch.randn(len(GAMMAS))

    def layer(x: Tensor) -> Tensor:
        return function(x * scale + bias)

    found = integer_thresholds(layer, len(GAMMAS), levels(spec), BOUND)
    numbers = torch.arange(-BOUND, BOUND + 1.0)[:, None].expand(-1, len(GAMMAS)).contiguous()
    expected = layer(numbers).numpy()
    assert found.values.dtype == np.int32
    assert np.abs(found.values).max() <= BOUND + 1
    assert np.array_equal(counted(found.values, found.flip, numbers.numpy(), spec == "sign"), expected)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("chain", CHAINS)
def test_floats_beside_the_flips(chain: str, spec: str) -> None:
    function = codes(chain, spec)
    found = float_thresholds(function, len(GAMMAS), levels(spec))
    assert found.values.dtype == np.float32
    near = [found.values]
    for direction in (-np.inf, np.inf):
        near.append(np.nextafter(found.values, np.float32(direction)))
    ends = np.full((1, len(GAMMAS)), LARGEST, np.float32)
    zeros = np.zeros((1, len(GAMMAS)), np.float32)
    wide = torch.randn(500, len(GAMMAS)).mul(20).numpy()
    y = np.concatenate([*near, ends, -ends, zeros, -zeros, wide]).clip(-LARGEST, LARGEST)
    expected = function(torch.from_numpy(y)).numpy()
    assert np.array_equal(counted(found.values, found.flip, y, spec == "sign"), expected)


def test_a_sign_alone_flips_at_zero() -> None:
    found = float_thresholds(codes("nothing", "sign"), 3, 1)
    assert found.values.tolist() == [[0.0, 0.0, 0.0]]
    assert not found.flip.any()


def test_falling_channels_are_those_with_negative_gamma() -> None:
    found = float_thresholds(codes("norm", "sign"), len(GAMMAS), 1)
    expected = (GAMMAS < 0).numpy()
    expected[-1] = False  # γ = −1e−30: constant as far as the numbers reach
    assert np.array_equal(found.flip, expected)


def test_ordinals_are_the_floats_in_order() -> None:
    ordinals = torch.tensor([-(2**31 - 2**23 - 1), -2, -1, 0, 1, 2, 2**23, 1065353216, 2**31 - 2**23 - 1])
    numbers = of_ordinal(ordinals).numpy()
    assert np.array_equal(np.sort(numbers), numbers)
    assert numbers[3] == 0
    assert numbers[4] == np.float32(2.0**-149)
    assert numbers[6] == np.float32(2.0**-126)
    assert numbers[7] == 1
    assert numbers[-1] == np.finfo(np.float32).max


def test_a_module_sees_one_pixel_or_a_vector() -> None:
    x = torch.randn(5, len(GAMMAS))
    assert apply(norm(), x).shape == x.shape
    assert apply(norm(two=False), x).shape == x.shape
