"""CBCN: rotated copies, the sum of their gradients, and what cannot be copied."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from bnn_train.binary.layers import BinaryConv2d, BinaryLinear
from bnn_train.binary.pre import PRES
from bnn_train.binary.pre import Circulant as Made
from bnn_train.config.checks import problems
from bnn_train.config.loader import from_mapping
from bnn_train.errors import BnnError
from bnn_train.models.build import build
from bnn_train.spec.methods import METHODS
from bnn_train.spec.networks import NETWORKS
from bnn_train.spec.pre import AsItIs, Circulant

CBCN = METHODS["cbcn"]


def expand(copies: int) -> Any:
    made = PRES.build(Circulant.model_validate({"copies": copies}))
    assert isinstance(made, Made)
    return made


def stated(w: np.ndarray, m: int) -> np.ndarray:
    """F[o·M + k, i·M + (m + k) mod M] = rot90 clockwise^k (W[o, i·M + m]), of four copies."""
    o, i, *taps = w.shape
    found = np.zeros((o * m, i, *taps), w.dtype)
    for a in range(o):
        for k in range(m):
            for c in range(i):
                to = c // m * m + (c % m + k) % m
                found[a * m + k, to] = np.rot90(w[a, c], -k * 4 // m) if len(taps) else w[a, c]
    return found


@pytest.mark.parametrize("network", [{"name": "mlp", "width": 30}, {"name": "lenet5"}], ids=["mlp", "lenet5"])
def test_a_network_without_a_filter_to_copy_is_refused(network: dict[str, Any]) -> None:
    """Widths that 4 does not divide, or kernels of 5×5 and classes alone."""
    made: Any = NETWORKS[network["name"]].model_validate(network)
    with pytest.raises(BnnError, match=r"none of its \d binary layers can have 4 copies .* choose another"):
        build(made, CBCN, (1, 32, 32), 10)
    wider: Any = NETWORKS["mlp"].model_validate({"name": "mlp", "width": 32})
    build(wider, CBCN, (1, 32, 32), 10)


def test_the_golden_rotation() -> None:
    """1 … 9 in channel 0 is 7 4 1, 8 5 2, 9 6 3 in channel 1 of the first copy."""
    w = torch.zeros(1, 4, 3, 3)
    w[0, 0] = torch.arange(1.0, 10.0).view(3, 3)
    found = expand(4).prepare(w, ())
    assert found.shape == (4, 4, 3, 3)
    assert found[1, 1].tolist() == [[7, 4, 1], [8, 5, 2], [9, 6, 3]]
    assert found[1, [0, 2, 3]].abs().sum() == 0


@pytest.mark.parametrize(
    ("copies", "shape"), [(4, (3, 8, 3, 3)), (2, (3, 8, 3, 3)), (4, (2, 4, 1, 1)), (4, (2, 8))]
)
def test_every_copy_against_numpy(copies: int, shape: tuple[int, ...]) -> None:
    w = torch.randn(shape)
    np.testing.assert_array_equal(expand(copies).prepare(w, ()).numpy(), stated(w.numpy(), copies))


def test_eight_copies_turn_the_ring_by_one() -> None:
    w = torch.zeros(1, 8, 3, 3)
    w[0, 0, 0, 0] = 1
    found = expand(8).prepare(w, ())
    assert [int(found[k, k].flatten().argmax()) for k in range(8)] == [0, 1, 2, 5, 8, 7, 6, 3]


def test_gradients_of_the_copies_are_summed() -> None:
    """Against the formula: each copy's gradient through α = mean|F| and the triangle, turned back."""
    layer = BinaryConv2d(4, 8, 3, method=CBCN, role="body", bias=False).double()
    assert (layer.weight.shape, layer.out_channels) == ((2, 4, 3, 3), 8)
    g = torch.randn(8, 4, 3, 3, dtype=torch.float64)
    layer.read_weight().backward(g)
    w = layer.weight.detach().numpy()
    f = stated(w, 4)
    s = np.where(f < 0, -1.0, 1.0)
    np.testing.assert_allclose(layer.read_weight().detach().numpy(), np.abs(f).mean() * s)
    of_f = (
        s * (g.numpy() * s).sum() / f.size + np.abs(f).mean() * np.maximum(0, 2 - 2 * np.abs(f)) * g.numpy()
    )
    expected = np.zeros_like(w)
    for o in range(2):
        for k in range(4):
            for m in range(4):
                expected[o, m] += np.rot90(of_f[o * 4 + k, (m + k) % 4], k)
    assert layer.weight.grad is not None
    np.testing.assert_allclose(layer.weight.grad.numpy(), expected, atol=1e-12)


def test_one_copy_is_a_sign_layer_with_one_scale() -> None:
    one = CBCN.weight.model_copy(update={"pre": Circulant(copies=1)})
    none = CBCN.weight.model_copy(update={"pre": AsItIs()})
    layers = [
        BinaryConv2d(3, 5, 3, method=CBCN.model_copy(update={"weight": weight}), role="body")
        for weight in (one, none)
    ]
    layers[1].load_state_dict(layers[0].state_dict())
    x = torch.randn(2, 3, 6, 6)
    assert torch.equal(layers[0](x), layers[1](x))


def test_products_and_stored_codes_are_of_the_copies() -> None:
    conv, dense = (
        BinaryConv2d(4, 8, 3, method=CBCN, role="body"),
        BinaryLinear(8, 4, method=CBCN, role="body"),
    )
    assert conv(torch.randn(2, 4, 5, 5)).shape == (2, 8, 3, 3)
    assert dense(torch.randn(2, 8)).shape == (2, 4)
    assert conv.codes().numbers.shape == (8, 4, 3, 3)


@pytest.mark.parametrize("sizes", [(8, 8, 5), (6, 8, 3), (8, 6, 3)])
def test_other_kernels_and_channels_have_no_copies(sizes: tuple[int, int, int]) -> None:
    inputs, outputs, kernel = sizes
    layer = BinaryConv2d(*sizes, method=CBCN, role="body")
    assert layer.weight.shape == (outputs, inputs, kernel, kernel)


def test_evaluating_latent_weights_is_refused() -> None:
    method = {"name": "cbcn", "weight": {"evaluate": "latent"}}
    found = dict(problems(from_mapping({"method": method, "model": "convnet", "data": "cifar10"})))
    assert found["method", "weight", "evaluate"] == (
        "latent weights are no filters of their own under pre: circulant; use binary"
    )
