"""Every method's layers on the compiled kernels, against PyTorch's own products of the same numbers."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bnn_train.binary import training_kernel
from bnn_train.binary.layers import BinaryConv2d, BinaryLinear
from bnn_train.binary.placed import place
from bnn_train.binary.quantized_layer import QuantizedLayer
from bnn_train.errors import BnnError
from bnn_train.spec.annealed import END, START
from bnn_train.spec.methods import METHODS

pytestmark = pytest.mark.skipif(training_kernel.kernel() is None, reason="the packed kernels are not built")

SIZES = {"conv": (12, 16, 9, 9), "dense": (12, 64)}
"""Images, channels and places: as many as the kernels want."""


def layer(kind: str, method: str) -> Any:
    """One that quantizes, of the sizes above. Skips a method that has no such layers."""
    torch.manual_seed(1)
    try:
        made = (
            BinaryConv2d(16, 24, 3, 1, 1, bias=False, method=method, role="body")
            if kind == "conv"
            else BinaryLinear(64, 48, bias=False, method=method, role="body")
        )
    except BnnError as error:
        pytest.skip(str(error))
    nn.init.normal_(made.weight, 0, 0.5)
    if METHODS[method].weight.quantizer.name == "stored":  # the parameters are the signs themselves
        made.weight.data.sign_()
    return made


def passed(made: Any, x: Tensor) -> list[Tensor]:
    """Output and gradients of a training pass, drawn from the same seed each time."""
    made, x = deepcopy(made).train(), x.clone().requires_grad_()
    torch.manual_seed(2)
    y = made(x)
    y.backward(torch.linspace(-1, 1, y.numel()).view(y.shape))
    grads = [p.grad for p in (x, *made.parameters()) if p.grad is not None]
    return [y.detach(), *grads]


@pytest.mark.parametrize("position", [START, END], ids=["begin", "end"])
@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("method", sorted(METHODS))
def test_the_same_numbers(monkeypatch: pytest.MonkeyPatch, method: str, kind: str, position: Any) -> None:
    made = layer(kind, method)
    place(made, position)
    x = torch.randn(SIZES[kind], generator=torch.Generator().manual_seed(3))
    ours = passed(made, x)
    monkeypatch.setattr(training_kernel, "_KERNEL", None)
    theirs = passed(made, x)
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


@pytest.mark.parametrize("method", sorted(METHODS))
def test_signs_are_signs(method: str) -> None:
    """A quantizer that says so has no other codes, or a kernel would take them for ±1."""
    made: QuantizedLayer = layer("conv", method)
    weights, inputs = made.weight_quantizer, made.input_quantizer
    if weights is not None and weights.quantizer.signs and not weights.bases:
        codes, _ = weights.quantized(weights.prepared(made.weight.detach()))
        assert codes.abs().eq(1).all()
    if inputs is not None and inputs.quantizer.signs and not inputs.bases and not inputs.quantizer.by_window:
        codes = inputs.quantizer.codes(torch.randn(5, 16, 4, 4), (), drawn=True)
        assert codes.abs().eq(1).all()
