"""The table of methods tells the layers that a method builds, not the options alone."""

from __future__ import annotations

import pytest

from bnn_train.binary.layers import BinaryConv2d
from bnn_train.binary.quantizers import Quantizer
from bnn_train.errors import BnnError
from bnn_train.inspect.method_card import bits, planes
from bnn_train.spec.methods import METHODS


@pytest.mark.parametrize("side", ["weight", "activation"])
@pytest.mark.parametrize("method", sorted(METHODS))
def test_bits_and_planes(method: str, side: str) -> None:
    try:
        layer = BinaryConv2d(8, 4, 3, bias=False, method=method, role="body")
    except BnnError as error:
        pytest.skip(str(error))
    part = layer.weight_quantizer if side == "weight" else layer.input_quantizer
    spec = getattr(METHODS[method], side)
    if part is None:
        assert bits(spec) == "32"
        return
    built: Quantizer = part.quantizer
    assert (bits(spec), planes(spec)) == (built.bits, "" if built.refusal else built.planes_told)
    assert part.bases == built.bases
