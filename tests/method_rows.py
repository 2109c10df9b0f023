"""Methods of learned numbers and several bases, mixed as configs may mix them; networks of their layers, and
the whole judgement on a lowered one."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bnn_train.binary.layers import BinaryConv2d, BinaryLinear
from bnn_train.config.merge import merge
from bnn_train.export.flips import check_flips
from bnn_train.export.parity import Gate
from bnn_train.export.sizes import sizes
from bnn_train.packed import PackedModel
from bnn_train.packed.program import Conv
from bnn_train.spec.method import Method
from bnn_train.spec.methods import METHODS
from lowering import Pair, header_of, pair, pixels, scramble

SHAPE = (3, 9, 8)
CHANNELS = 8


def row(name: str, **axes: Any) -> Method:
    """A row of the table with some axes replaced, as a config replaces them."""
    return Method.model_validate(merge(METHODS[name].model_dump(by_alias=True), axes))


def abc_inputs(**activation: Any) -> Method:
    """Weights of three bases behind another activation."""
    return row("abcnet", activation=activation)


def abc_weights(**weight: Any) -> Method:
    """Activations of three bases before another weight."""
    return row("abcnet", weight=weight)


SIGNS = {"quantizer": "sign", "estimator": "clip"}
TWO_BITS = {"quantizer": {"name": "uniform", "bits": 2}}
PACT = {bits: row("pact", activation={"quantizer": {"bits": bits}}) for bits in (1, 2, 3)}
ABC = {
    (m, n): row("abcnet", weight={"quantizer": {"bases": m}}, activation={"quantizer": {"bases": n}})
    for m in range(1, 5)
    for n in range(1, 5)
}
ROWS: dict[str, Method] = {
    "shift": row("bireal", activation={"pre": "shift"}),
    "shift, a scale for the layer": row("dorefa", activation={"pre": "shift", **SIGNS}),
    "irnet": METHODS["irnet"],
    **{f"pact {bits}": made for bits, made in PACT.items()},
    "abcnet": METHODS["abcnet"],
    "bases by channel": abc_weights(granularity="channel"),
    "signs × bases": abc_inputs(**SIGNS),
    "two bits × bases": abc_inputs(**TWO_BITS),
    "pact × bases": abc_inputs(pre="pact", **TWO_BITS, estimator="identity"),
    "shifted signs × bases": abc_inputs(pre="shift", **SIGNS),
    "signs × bases, K": row("abcnet", activation=SIGNS, output_scale="xnor_k"),
    "reals × bases": abc_inputs(quantizer="none"),
    "bases × signs": abc_weights(quantizer="sign"),
    "bases × scaled signs": abc_weights(quantizer="sign", scale="l1", granularity="channel"),
    "bases × a learned scale": abc_weights(quantizer="sign", scale="learned"),
    "bases × a power of two": abc_weights(quantizer="sign", scale="pow2"),
    "bases × ternary": abc_weights(quantizer="ternary", scale="l1_masked"),
    "shifted bases": abc_inputs(pre="shift"),
    "clipped bases": abc_inputs(pre="pact"),
}


def conv(
    method: Method, kernel: Any = 3, outputs: int = CHANNELS, inputs: int = CHANNELS, **more: Any
) -> Any:
    """A binary convolution in the body of a network."""
    layer = BinaryConv2d(inputs, outputs, kernel, method=method, role="body", **more)
    if layer.weight_quantizer is not None and layer.weight_quantizer.scale.alpha is not None:
        nn.init.uniform_(layer.weight_quantizer.scale.alpha, -1, 1)
    return layer


def dense(method: Method, inputs: int = CHANNELS, outputs: int = 16, **more: Any) -> nn.Module:
    """A binary dense layer."""
    return BinaryLinear(inputs, outputs, method=method, role="body", **more)


def norm(channels: int = CHANNELS) -> nn.Module:
    """A batch norm of maps."""
    return nn.BatchNorm2d(channels)


def network(*body: nn.Module, channels: int = CHANNELS) -> nn.Module:
    """first → norm → body → norm → average → dense."""
    first, last = nn.Conv2d(3, CHANNELS, 3, padding=1), nn.Linear(channels, 5)
    return nn.Sequential(first, norm(), *body, norm(channels), nn.AdaptiveAvgPool2d(1), nn.Flatten(), last)


class Two(nn.Module):
    """Two convolutions that read the same value."""

    def __init__(self, one: nn.Module, other: nn.Module) -> None:
        super().__init__()
        self.first, self.norm, self.one, self.other = nn.Conv2d(3, CHANNELS, 3), norm(), one, other
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W → N×C."""
        x = self.norm(self.first(x))
        y: Tensor = self.pool(self.one(x) + self.other(x))
        return y.flatten(1)


def numbers_of(layer: nn.Module) -> dict[str, nn.Parameter]:
    """The numbers that a layer's input quantizer learns, by name."""
    if not isinstance(layer, BinaryConv2d | BinaryLinear) or layer.input_quantizer is None:
        return {}
    return dict(layer.input_quantizer.named_parameters())


@torch.no_grad()
def learned(model: nn.Module, seed: int = 0) -> nn.Module:
    """Every number that an input quantizer learned at random: shifts and factors of both signs, α above 0."""
    draw = torch.Generator().manual_seed(seed)
    for module in model.modules():
        for name, parameter in numbers_of(module).items():
            drawn = torch.randn(parameter.shape, generator=draw) * 0.5
            parameter.copy_(drawn.abs() + 0.3 if name == "pre.alpha" else drawn)
    return model


def lowered(model: nn.Module) -> Pair:
    """A network and its packed twin, γ < 0 and γ = 0 among the norms, learned numbers at random."""
    return pair(scramble(learned(model), SHAPE), SHAPE)


def gated(made: Pair, isas: tuple[str, ...], *, constant: bool = False) -> Pair:
    """The gate passes on every kernel, what is stored has the size foretold, nothing is NaN.

    ``constant``: no input of a quantizer can change its codes, so that no channel falls where γ < 0 and the
    file lacks the flips, a byte for each channel.
    """
    check_flips(made.lowered, made.packed.program, made.packed.tensors)
    header, images = header_of(made.lowered, SHAPE), pixels(4, SHAPE)
    for kernel in ("reference", *isas):
        packed = PackedModel.from_parts(header, made.lowered.tensors, kernel=kernel)
        assert Gate(made.lowered, packed, made.normalize).run([images]).images == 4
        assert np.isfinite(packed(images)).all()
    for size in sizes(made.lowered):
        assert size.predicted - size.stored in ({0, CHANNELS} if constant else {0}), size
    return made


def bits_read(made: Pair) -> list[Conv]:
    """The steps that multiply bits."""
    values = made.lowered.program.values
    return [s for s in made.lowered.program.steps if isinstance(s, Conv) and values[s.input].type == "bits"]
