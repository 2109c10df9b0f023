"""A network as the lowering sees it: operations on maps, with who reads whom."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from torch import nn

from bnn_train.binary.layers import BinaryConv2d, BinaryLayer, BinaryLinear

Kind = Literal["image", "product", "norm", "relu", "hardtanh", "maxpool", "avgpool", "mean", "pad", "add"]
Shape = tuple[int, int, int]
"""C×H×W of one image; a vector of F features that never was a map is F×1×1."""
Key = tuple[str, int]
"""What a quantizer gives: its kind and bits; two with the same key on the same value share their result."""
ELEMENTWISE = ("norm", "relu", "hardtanh")
"""Channel by channel a monotone function of one number."""


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
    if op.kind != "product" or layer is None or not layer.quantizes_input:
        return None
    spec = layer.method.activation
    return ("uniform", spec.bits) if spec.quantizer == "uniform" else ("sign", 1)


def scales_input(op: Op) -> bool:
    """Whether a product is multiplied with K, the mean |input|, and so reads the real values too."""
    layer = binary(op)
    return key_of(op) is not None and layer is not None and layer.method.activation.scale == "xnor_k"
