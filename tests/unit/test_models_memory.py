"""A training step leaves nothing of its graph behind."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch

import binary_networks
from bnn_train.models.build import build
from bnn_train.spec.methods import METHODS
from bnn_train.spec.networks import NETWORKS
from pairs import DEEPER, some

SMALL: dict[str, dict[str, float]] = {
    "mlp": {"width": 8},
    "convnet": {"width": 4},
    "vgg_small": {"width": 4},
    "alexnet": {"width": 0.02},
    "extraction": {"width": 0.05},
    **{name: {"width": 4} for name in ("resnet18", "resnet20", "resnet34")},
    **binary_networks.SLIM,
}


@pytest.mark.parametrize("name", some(sorted(NETWORKS), {*NETWORKS} - {*DEEPER}))
@pytest.mark.parametrize("method", ["fp", "bnn", "xnor_k"])
def test_the_graph_of_a_step_is_freed_without_the_garbage_collector(name: str, method: str) -> None:
    shape = (3, 32, 32)
    network = NETWORKS[name].model_validate({"name": name, **SMALL.get(name, {})})
    model = build(network, METHODS[method], shape, 4)  # type: ignore[arg-type]
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.randn(4, *shape).contiguous(memory_format=torch.channels_last)
    model(images).square().sum().backward()  # torch imports some of its parts in the first step
    gc.disable()
    try:
        seen: list[weakref.ref[Any]] = []
        hooks = [
            module.register_forward_hook(lambda m, i, o, seen=seen: seen.append(weakref.ref(o)))
            for module in model.modules()
        ]
        model(images).square().sum().backward()
        for hook in hooks:
            hook.remove()
        assert seen
        assert [reference for reference in seen if reference() is not None] == []
    finally:
        gc.enable()
