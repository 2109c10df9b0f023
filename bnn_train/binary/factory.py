"""The layer factory: networks ask for layers by role and never learn which method runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from torch import nn

from bnn_train.binary.layers import LAYERS
from bnn_train.binary.shift_norm import ShiftNorm1d, ShiftNorm2d
from bnn_train.spec.method import Method, Role

N = TypeVar("N", nn.BatchNorm1d, nn.BatchNorm2d)
Named = Iterator[tuple[str, nn.Module]]

STREAMS: dict[str, type[nn.Module]] = {"none": nn.Identity, "relu": nn.ReLU, "hardtanh": nn.Hardtanh}


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One layer of a plain chain, with what surrounds it."""

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
        **dropout: float,
    ) -> nn.Module:
        """A convolution, binary if the method binarizes the role.

        A layer that quantizes its input takes ``dropout`` and ``channel_dropout``, applied after
        the quantizer.
        """
        options = {"stride": stride, "padding": padding, "groups": groups, "bias": bias}
        return self._layer("conv", role, (inputs, outputs, kernel), options, dropout)

    def linear(
        self, role: Role, inputs: int, outputs: int, *, bias: bool = True, **dropout: float
    ) -> nn.Module:
        """A dense layer, binary if the method binarizes the role; ``dropout`` as in ``conv``."""
        return self._layer("linear", role, (inputs, outputs), {"bias": bias}, dropout)

    def _layer(
        self,
        kind: str,
        role: Role,
        sizes: tuple[int, ...],
        options: dict[str, Any],
        dropout: dict[str, float],
    ) -> nn.Module:
        real, binary = LAYERS[kind]
        if self.method.binarizes(role) or self.method.quantizes_input(role):
            return binary(*sizes, method=self.method, role=role, **options, **dropout)
        plain = real(*sizes, **options)
        plain.role = role  # type: ignore[assignment]  # no parameter, read by reports
        return plain

    def norm2d(self, channels: int, *, output: bool = False) -> nn.BatchNorm2d:
        """Batch norm over N×C×H×W; ``output``: on the network's output."""
        kind = ShiftNorm2d if self._shifts(output) else nn.BatchNorm2d
        return self._gamma(kind(channels, eps=self.method.norm.eps, momentum=self.method.norm.momentum))

    def norm1d(self, features: int, *, output: bool = False) -> nn.BatchNorm1d:
        """Batch norm over N×F; ``output``: on the network's output."""
        kind = ShiftNorm1d if self._shifts(output) else nn.BatchNorm1d
        return self._gamma(kind(features, eps=self.method.norm.eps, momentum=self.method.norm.momentum))

    def _shifts(self, output: bool) -> bool:
        return self.method.norm.kind == "shift" and not output

    def _gamma(self, norm: N) -> N:
        if self.method.norm.gamma == "uniform":
            nn.init.uniform_(norm.weight)
        return norm

    def nonlinearity(self, consumer: Role) -> nn.Module:
        """What stands before a layer in this role: nothing if it quantizes its input, else ReLU."""
        return nn.Identity() if self.quantizes_input(consumer) else nn.ReLU()

    def stream(self) -> nn.Module:
        """The nonlinearity on a residual stream after each addition."""
        return STREAMS[self.method.block.post_add_activation]()

    def chain(self, units: Sequence[Unit]) -> nn.Sequential:
        """The units one after the other, in the method's block order.

        ``conv-pool-bn-act`` and ``conv-bn-act-pool``: each layer is followed by its norm, the
        nonlinearity that the next layer wants, and its pooling. ``bn-act-conv-pool`` (XNOR-Net): each
        layer but the first is preceded by them. A quantizer sits on the input of the layer that
        quantizes; max-pooling commutes with the sign, so pooling "after the activation" pools real values.
        """
        preactivation = self.method.block.order == "bn-act-conv-pool"
        parts = self._preactivated(units) if preactivation else self._postactivated(units)
        result = nn.Sequential()
        for name, module in parts:
            if not isinstance(module, nn.Identity):
                result.add_module(name, module)
        return result

    def _postactivated(self, units: Sequence[Unit]) -> Named:
        pool_first = self.method.block.order == "conv-pool-bn-act"
        for i, unit in enumerate(units, start=1):
            if i > 1 and unit.kind == "linear" and units[i - 2].kind == "conv":
                yield "flatten", nn.Flatten()
            yield from self._product(unit, i)
            if i == len(units):
                yield from self._output(unit, i, norm=i)
                return
            if pool_first:
                yield f"pool{i}", unit.pool or nn.Identity()
            yield f"norm{i}", self._norm(unit)
            yield f"act{i}", self.nonlinearity(units[i].role)
            if not pool_first:
                yield f"pool{i}", unit.pool or nn.Identity()

    def _preactivated(self, units: Sequence[Unit]) -> Named:
        for i, unit in enumerate(units, start=1):
            if i > 1:
                before = units[i - 2]
                lead = "norm_relu" if i < len(units) else self.method.block.before_last
                if lead != "none":
                    yield f"norm{i}", self._norm(before)
                if lead == "norm_relu":
                    yield f"act{i}", self.nonlinearity(unit.role)
                if unit.kind == "linear" and before.kind == "conv":
                    yield "flatten", nn.Flatten()
            yield from self._product(unit, i)
            if 1 < i < len(units) and self.method.block.product_relu:
                yield f"relu{i}", nn.ReLU()
            if i == 1 and len(units) > 1:
                yield "norm", self._norm(unit)
                yield "act", nn.ReLU()
            if i == len(units):
                yield from self._output(unit, i, norm=i + 1)  # that of number i stands before the layer
            else:
                yield f"pool{i}", unit.pool or nn.Identity()

    def _product(self, unit: Unit, i: int) -> Named:
        dropout: dict[str, float] = {}
        if unit.dropout and self.quantizes_input(unit.role):
            dropout = {"dropout": unit.dropout, "channel_dropout": unit.channel_dropout}
        elif unit.dropout:
            yield f"dropout{i}", (nn.Dropout2d if unit.channel_dropout else nn.Dropout)(unit.dropout)
        if unit.kind == "linear":
            yield f"linear{i}", self.linear(unit.role, unit.inputs, unit.outputs, bias=unit.bias, **dropout)
            return
        sizes = (unit.inputs, unit.outputs, unit.kernel)
        options = {"stride": unit.stride, "padding": unit.padding, "groups": unit.groups, "bias": unit.bias}
        yield f"conv{i}", self._layer("conv", unit.role, sizes, options, dropout)

    def _norm(self, unit: Unit, *, output: bool = False) -> nn.Module:
        norm = self.norm2d if unit.kind == "conv" else self.norm1d
        return norm(unit.outputs, output=output)

    def _output(self, unit: Unit, i: int, *, norm: int) -> Named:
        yield f"pool{i}", unit.pool or nn.Identity()
        if self.method.block.output_norm:
            yield f"norm{norm}", self._norm(unit, output=True)
