"""Planes of signs lie in memory as the maps that they came from."""

from __future__ import annotations

import pytest
import torch

from bnn_train.binary.input_quantizer import InputQuantizer
from bnn_train.binary.planes import channels_last, row, stacked
from bnn_train.spec.methods import METHODS

MAPS = torch.randn(3, 5, 4, 6, generator=torch.Generator().manual_seed(1))
TURNED = MAPS.contiguous(memory_format=torch.channels_last)
OTHERS = [MAPS, MAPS[:, :, ::2], MAPS[0], MAPS[0, 0], MAPS[:, :1], torch.zeros(0, 5, 4, 6)]


@pytest.mark.parametrize("x", [TURNED, *OTHERS], ids=lambda x: "×".join(map(str, x.shape)))
def test_stacked_is_a_stack(x: torch.Tensor) -> None:
    planes = [x, -x, 2 * x]
    assert torch.equal(stacked(planes), torch.stack(planes))
    assert torch.equal(row(x).sort().values, x.reshape(1, -1).sort().values)


def test_turned_maps_stay_turned() -> None:
    assert channels_last(TURNED)
    assert not any(channels_last(x) for x in OTHERS)
    assert all(channels_last(plane) for plane in stacked([TURNED, -TURNED]))
    assert row(TURNED).data_ptr() == TURNED.data_ptr()
    assert torch.equal(row(TURNED), TURNED.permute(0, 2, 3, 1).reshape(1, -1))


def test_a_gradient_passes() -> None:
    x = TURNED.clone().requires_grad_()
    weights = torch.randn(2, *x.shape)
    (stacked([x, 3 * x]) * weights).sum().backward()
    torch.testing.assert_close(x.grad, weights[0] + 3 * weights[1])


@pytest.mark.parametrize("method", sorted(METHODS))
def test_inputs_of_every_method(method: str) -> None:
    """Turned or not, the same codes; and no product has to turn one of several planes back."""
    spec = METHODS[method].activation
    if not spec.quantizer.quantizes:
        pytest.skip("its inputs are real")
    made = InputQuantizer(spec, MAPS.shape[1])
    if made.quantizer.by_window:
        pytest.skip("it quantizes windows")
    here, there = made.eval().coded(MAPS)[0], made.coded(TURNED)[0]
    assert torch.equal(here, there)
    if made.bases:
        assert all(channels_last(plane) for plane in there)
