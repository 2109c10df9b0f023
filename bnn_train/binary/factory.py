"""The layer factory: networks ask for layers by role and never learn which method runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from bnn_train.binary.layers import LAYERS
from bnn_train.binary.nonlinear import STREAMS
from bnn_train.binary.shift_norm import ShiftNorm1d, ShiftNorm2d
from bnn_train.spec.method import Method, Role

Norms = dict[str, Callable[..., nn.Module]]
Named = Iterator[tuple[str, nn.Module]]

NORMS_1D: Norms = {"batch": nn.BatchNorm1d, "shift": ShiftNorm1d, "none": nn.Identity}
NORMS_2D: Norms = {"batch": nn.BatchNorm2d, "shift": ShiftNorm2d, "none": nn.Identity}
PLAIN_NORM = OUTPUT_NORM = "batch"
"""The kind of norm on the network's output, whichever the method has elsewhere (BNN's code)."""
GAMMAS: dict[str, Callable[[Tensor], Tensor]] = {"ones": nn.init.ones_, "uniform": nn.init.uniform_}
"""Initial values of a norm's γ."""
LEADS = {"norm_relu": (True, True), "norm": (True, False), "none": (False, False)}
"""Whether a norm, and whether a nonlinearity, stands before a layer."""


@dataclass(frozen=True, kw_only=True)
class ChainLayer:
    """One layer of a plain chain, with its pooling and dropout."""

    role: Role
    kind: Literal["conv", "linear"]
    inputs: int
    outputs: int
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    groups: int = 1
    bias: bool = True
    pool: nn.Module | None = None
    dropout: float = 0.0
    """On the layer's input, after its quantizer; whole channels if ``channel_dropout``."""
    channel_dropout: bool = False


class Layers:
    """Makes the layers, norms and nonlinearities of one method."""

    def __init__(self, method: Method) -> None:
        self.method = method

    def quantizes_input(self, role: Role) -> bool:
        """Whether a layer in this role quantizes its own input."""
        return self.method.quantizes_input(role)

    def bends_input(self, role: Role) -> bool:
        """Whether the quantizer on the input of a layer in this role is its nonlinearity."""
        return self.quantizes_input(role) and not self.method.activation.only_rounds

    def conv(
        self,
        role: Role,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        bias: bool = False,
        alone: bool = False,
        **dropout: float,
    ) -> nn.Module:
        """A convolution, binary if the method binarizes the role.

        A layer that quantizes its input takes ``dropout`` and ``channel_dropout``, applied after
        the quantizer. ``alone``: one layer makes its input's channels, and nothing else reads them.
        """
        options = {"stride": stride, "padding": padding, "groups": groups, "bias": bias}
        return self._layer("conv", role, (inputs, outputs, kernel), options, dropout, alone=alone)

    def linear(
        self,
        role: Role,
        inputs: int,
        outputs: int,
        *,
        bias: bool = True,
        alone: bool = False,
        **dropout: float,
    ) -> nn.Module:
        """A dense layer, binary if the method binarizes the role; the rest as in ``conv``."""
        return self._layer("linear", role, (inputs, outputs), {"bias": bias}, dropout, alone=alone)

    def _layer(
        self,
        kind: str,
        role: Role,
        sizes: tuple[int, ...],
        options: dict[str, Any],
        dropout: dict[str, float],
        *,
        alone: bool,
    ) -> nn.Module:
        real, binary = LAYERS[kind]
        if self.method.binarizes(role) or self.method.quantizes_input(role):
            made = binary(*sizes, method=self.method, role=role, **options, **dropout)
            if alone:
                made.gate_input()
            return made.output_scale.around(made)
        plain = real(*sizes, **options)
        plain.role = role  # type: ignore[assignment]  # no parameter, read by reports
        return plain

    def norm2d(self, channels: int, *, output: bool = False, affine: bool = True) -> nn.Module:
        """Batch norm over N×C×H×W; ``output``: on the network's output; ``affine``: with γ and β, where the
        method has them."""
        kind = self._norm_kind(output) if affine else PLAIN_NORM
        return self._normed(NORMS_2D[kind], channels, affine=affine and self._affine(output))

    def norm1d(self, features: int, *, output: bool = False) -> nn.Module:
        """Batch norm over N×F; ``output``: on the network's output."""
        return self._normed(NORMS_1D[self._norm_kind(output)], features, affine=self._affine(output))

    def _normed(self, norm: Callable[..., nn.Module], channels: int, *, affine: bool) -> nn.Module:
        plain = {} if affine else {"affine": False}
        made = norm(channels, eps=self.method.norm.eps, momentum=self.method.norm.momentum, **plain)
        if affine and not isinstance(made, nn.Identity):
            GAMMAS[self.method.norm.gamma](made.get_parameter("weight"))
        return made

    def _affine(self, output: bool) -> bool:
        return output or self.method.norm.affine

    def _norm_kind(self, output: bool) -> str:
        return OUTPUT_NORM if output else self.method.norm.kind

    def nonlinearity(self, consumer: Role) -> nn.Module:
        """The nonlinearity before a layer in this role: none if its quantizer is one, else ReLU."""
        return nn.Identity() if self.bends_input(consumer) else nn.ReLU()

    def stream(self, channels: int) -> nn.Module:
        """The nonlinearity on a residual stream of so many channels after each addition."""
        return STREAMS[self.method.block.post_add_activation](channels)

    def stem_activation(self, channels: int) -> nn.Module:
        """The nonlinearity at the end of a residual network's stem."""
        block = self.method.block
        if not block.stem_activation:
            return nn.Identity()
        return nn.ReLU() if block.norms_first else self.stream(channels)

    def behind_conv(self, channels: int) -> nn.Module:
        """The nonlinearity right behind a convolution of a residual block."""
        return STREAMS[self.method.block.conv_activation](channels)

    def chain(self, layers: Sequence[ChainLayer]) -> nn.Sequential:
        """The layers one after the other, in the method's block order.

        ``conv-pool-bn-act`` and ``conv-bn-act-pool``: each layer is followed by its norm, the
        nonlinearity that the next layer wants, and its pooling. ``bn-act-conv-pool`` (XNOR-Net): each
        layer but the first is preceded by them. A quantizer sits on the input of the layer that
        quantizes; max-pooling commutes with the sign, so pooling "after the activation" pools real values.
        """
        norms_first = self.method.block.norms_first
        parts = self._preactivated(layers) if norms_first else self._postactivated(layers)
        result = nn.Sequential()
        for name, module in parts:
            if not isinstance(module, nn.Identity):
                result.add_module(name, module)
        return result

    def _postactivated(self, layers: Sequence[ChainLayer]) -> Named:
        pool_first = self.method.block.pools_before_norm
        for i, layer in enumerate(layers, start=1):
            if i > 1 and layer.kind == "linear" and layers[i - 2].kind == "conv":
                yield "flatten", nn.Flatten()
            yield from self._product(layer, i, alone=_alone(layers, i))
            if i == len(layers):
                yield from self._output(layer, i, norm=i)
                return
            if pool_first:
                yield f"pool{i}", layer.pool or nn.Identity()
            yield f"norm{i}", self._norm(layer)
            yield f"act{i}", self.nonlinearity(layers[i].role)
            if not pool_first:
                yield f"pool{i}", layer.pool or nn.Identity()

    def _preactivated(self, layers: Sequence[ChainLayer]) -> Named:
        for i, layer in enumerate(layers, start=1):
            if i > 1:
                before = layers[i - 2]
                lead = "norm_relu" if i < len(layers) else self.method.block.before_last
                normalized, activated = LEADS[lead]
                if normalized:
                    yield f"norm{i}", self._norm(before)
                if activated:
                    yield f"act{i}", self.nonlinearity(layer.role)
                if layer.kind == "linear" and before.kind == "conv":
                    yield "flatten", nn.Flatten()
            yield from self._product(layer, i, alone=_alone(layers, i))
            if 1 < i < len(layers) and self.method.block.product_relu:
                yield f"relu{i}", nn.ReLU()
            if i == 1 and len(layers) > 1:
                yield "norm", self._norm(layer)
                yield "act", nn.ReLU()
            if i == len(layers):
                yield from self._output(layer, i, norm=i + 1)  # that of number i stands before the layer
            else:
                yield f"pool{i}", layer.pool or nn.Identity()

    def _product(self, layer: ChainLayer, i: int, *, alone: bool) -> Named:
        dropout: dict[str, float] = {}
        if layer.dropout and self.quantizes_input(layer.role):
            dropout = {"dropout": layer.dropout, "channel_dropout": layer.channel_dropout}
        elif layer.dropout:
            yield f"dropout{i}", (nn.Dropout2d if layer.channel_dropout else nn.Dropout)(layer.dropout)
        if layer.kind == "linear":
            dense = self.linear(
                layer.role, layer.inputs, layer.outputs, bias=layer.bias, alone=alone, **dropout
            )
            yield f"linear{i}", dense
            return
        sizes = (layer.inputs, layer.outputs, layer.kernel)
        options = {
            "stride": layer.stride,
            "padding": layer.padding,
            "groups": layer.groups,
            "bias": layer.bias,
        }
        yield f"conv{i}", self._layer("conv", layer.role, sizes, options, dropout, alone=alone)

    def _norm(self, layer: ChainLayer, *, output: bool = False) -> nn.Module:
        norm = self.norm2d if layer.kind == "conv" else self.norm1d
        return norm(layer.outputs, output=output)

    def _output(self, layer: ChainLayer, i: int, *, norm: int) -> Named:
        yield f"pool{i}", layer.pool or nn.Identity()
        if self.method.block.output_norm:
            yield f"norm{norm}", self._norm(layer, output=True)


def _alone(layers: Sequence[ChainLayer], i: int) -> bool:
    """Whether the layer before number ``i``, from 1, makes the channels of its input; the features of a
    flattened map are no channels."""
    return i > 1 and layers[i - 2].kind == layers[i - 1].kind
