"""A network as the lowering sees it: operations on maps, with who reads whom."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from torch import nn

from bnn_train.binary.input_quantizer import InputQuantizer
from bnn_train.binary.layers import BinaryConv2d, BinaryLayer, BinaryLinear
from bnn_train.binary.quantizers import Quantizer
from bnn_train.errors import ExportError
from bnn_train.packed.operands import threshold_count
from bnn_train.packed.program import Code, Planes

Kind = Literal[
    "image", "product", "norm", "relu", "hardtanh", "prelu", "sigmoid", "gate", "maxpool", "avgpool", "mean",
    "pad", "add", "concat", "channels",
]  # fmt: skip
Shape = tuple[int, int, int]
"""C×H×W of one image; a vector of F features that never was a map is F×1×1."""


@dataclass(frozen=True, eq=False)
class Key:
    """A layer's input quantizer; products whose quantizers are equal on the same value share their bits."""

    quantizer: InputQuantizer

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self.quantizer.same(other.quantizer)

    def __hash__(self) -> int:
        return hash((self.quantizer.spec.pre, self.quantizer.spec.quantizer))

    @property
    def code(self) -> Code | Planes:
        """The meaning of the bits."""
        return code_of(self.quantizer.quantizer)

    @property
    def levels(self) -> int:
        """How many thresholds make the bits."""
        return threshold_count(self.code)

    @property
    def pools(self) -> bool:
        """Whether a maximum of numbers is the maximum of their planes: of more binary digits it is not."""
        return self.code.apart


def code_of(quantizer: Quantizer) -> Code | Planes:
    """How a file has the codes of a quantizer."""
    if not quantizer.bases:
        return quantizer.code
    return Planes(count=quantizer.bases, digits=quantizer.digits)


ELEMENTWISE = ("norm", "relu", "hardtanh", "prelu")
"""Channel by channel a function of one number, and a monotone one but where a ``prelu`` turns round."""
ACTIVATIONS = ("relu", "hardtanh", "prelu", "sigmoid")


@dataclass(eq=False)
class Op:
    """One operation and the value it gives."""

    kind: Kind
    layer: str
    """The module's name; of an addition, the traced node's."""
    node: str
    """The traced node whose value this is."""
    shape: Shape
    module: nn.Module | None = None
    inputs: list[Op] = field(default_factory=list)
    users: list[Op] = field(default_factory=list)
    """Every reader, once for each time it reads; the network's output is none."""

    @property
    def channels(self) -> int:
        """C."""
        return self.shape[0]


@dataclass(frozen=True)
class Graph:
    """The operations in the order of computation."""

    ops: tuple[Op, ...]
    output: Op

    @property
    def image(self) -> Op:
        """The input."""
        return self.ops[0]


def binary(op: Op) -> BinaryLayer | None:
    """The binary layer behind a product, if it is one."""
    return op.module if isinstance(op.module, BinaryConv2d | BinaryLinear) else None


def key_of(op: Op) -> Key | None:
    """The quantizer on the input of a product, or None where it reads real values."""
    layer = binary(op)
    if op.kind != "product" or layer is None or layer.input_quantizer is None:
        return None
    pre = layer.input_quantizer.pre
    if pre.channelwise and isinstance(layer, BinaryLinear) and op.inputs[0].shape[1:] != (1, 1):
        raise ExportError(
            f"{op.layer}: activation.pre has a number for each feature of a flattened map, and the packed"
            " program one for each channel; average the map before the dense layer"
        )
    return Key(layer.input_quantizer)


def scales_input(op: Op) -> bool:
    """Whether a product is multiplied with K, the mean |input|, and so reads the real values too."""
    layer = binary(op)
    return key_of(op) is not None and layer is not None and layer.output_scale.reads_input
