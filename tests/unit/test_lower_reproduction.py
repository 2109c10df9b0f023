"""Parts that the reproductions add to networks are lowered, too: learned α, shift-based norms, ReLUs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bnn_train.binary.factory import Layers
from bnn_train.binary.layers import binary_layers
from bnn_train.config.merge import merge
from bnn_train.models.convnet import convnet
from bnn_train.spec.method import Method
from bnn_train.spec.methods import METHODS
from bnn_train.spec.networks import ConvNet
from lowering import pair, scramble

SHAPE = (3, 8, 8)
AXES: dict[str, tuple[str, dict[str, object]]] = {
    "shift-based norms": ("bnn_stochastic", {"norm": {"kind": "shift"}}),
    "shift-based norms, real activations": ("bc", {"norm": {"kind": "shift"}}),
    "learned alpha": ("xnor", {"weight": {"scale": "learned", "gradient": "detached"}}),
    "learned alpha, real activations": (
        "bwn",
        {"weight": {"scale": "learned", "granularity": "layer", "gradient": "detached"}},
    ),
    "ReLUs behind the products": ("xnor", {"block": {"product_relu": True}}),
    "a ReLU before the last layer": (
        "xnor",
        {"block": {"product_relu": True, "before_last": "none"}},
    ),
    "a norm before the last layer": ("xnor", {"block": {"before_last": "norm"}}),
    "a norm on the output": ("xnor", {"block": {"output_norm": True}}),
}


def network(row: str, axes: dict[str, object]) -> nn.Module:
    torch.manual_seed(0)
    method = Method.model_validate(merge(METHODS[row].model_dump(), axes))
    model = convnet(ConvNet(name="convnet", width=8), Layers(method), SHAPE, 4)
    with torch.no_grad():
        for _, layer in binary_layers(model):
            alpha = None if layer.weight_quantizer is None else layer.weight_quantizer.scale.alpha
            if alpha is not None:
                alpha.copy_(torch.randn(alpha.shape))  # of both signs
                alpha[1::5] = 0
    return scramble(model, SHAPE)


@pytest.mark.parametrize("name", AXES)
def test_the_packed_twin_agrees(name: str) -> None:
    pair(network(*AXES[name]), SHAPE).gate()
