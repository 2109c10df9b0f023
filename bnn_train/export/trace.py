"""From a module to its operations, by torch.fx; leaves are binary layers and all that has no children."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from bnn_train.binary.channels import Channels, Concat, Gated
from bnn_train.binary.layers import BinaryLayer
from bnn_train.binary.nonlinear import RPReLU
from bnn_train.errors import ExportError
from bnn_train.export.bends import BENT
from bnn_train.export.graph import Graph, Kind, Op, Shape
from bnn_train.export.shares import Share
from bnn_train.models.resnet import PadShortcut

PASSING = (nn.Identity, nn.Dropout, nn.Dropout2d, nn.Flatten)
MODULES: tuple[tuple[Any, Kind], ...] = (
    ((nn.Conv2d, nn.Linear), "product"),
    ((nn.BatchNorm1d, nn.BatchNorm2d, Share), "norm"),
    (nn.ReLU, "relu"),
    (nn.Hardtanh, "hardtanh"),
    (nn.MaxPool2d, "maxpool"),
    (nn.AvgPool2d, "avgpool"),
    (nn.AdaptiveAvgPool2d, "mean"),
    (PadShortcut, "pad"),
    (BENT, "prelu"),
    (nn.Sigmoid, "sigmoid"),
    (Concat, "concat"),
    (Channels, "channels"),
    (Gated, "gate"),
)
FUNCTIONS: dict[object, Kind] = {
    operator.add: "add",
    operator.iadd: "add",
    torch.add: "add",
    "add": "add",
    torch.relu: "relu",
    F.relu: "relu",
    "relu": "relu",
    torch.sigmoid: "sigmoid",
    F.sigmoid: "sigmoid",
    "sigmoid": "sigmoid",
}
FLATTENING = (torch.flatten, "flatten")


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, BinaryLayer | RPReLU) or not any(True for _ in m.children())


class Recorder(fx.Interpreter):
    """Runs a traced network and calls ``see(node, value)`` for every node."""

    def __init__(self, module: fx.GraphModule, see: Callable[[str, Tensor], None]) -> None:
        super().__init__(module)
        self._see = see

    def run_node(self, n: fx.Node) -> Any:
        """As the parent does, and tell."""
        value = super().run_node(n)
        if n.op != "output":
            self._see(n.name, value)
        return value


@dataclass(frozen=True)
class _Given:
    """An operation's value as a later node meets it."""

    op: Op
    flat: bool = False
    """Flattened from a map to C·H·W features."""


@dataclass(frozen=True)
class Traced:
    """A network's operations, and itself as a graph of leaves."""

    graph: Graph
    module: fx.GraphModule

    def values(self, images: Tensor) -> dict[str, Tensor]:
        """Every node's value for normalized images N×C×H×W."""
        found: dict[str, Tensor] = {}
        with torch.no_grad():
            Recorder(self.module, found.__setitem__).run(images)
        return found


def trace(model: nn.Module, shape: Shape) -> Traced:
    """The operations of a network in evaluation mode on images C×H×W.

    Raises ExportError, with the layer's name, for anything that is not among ``MODULES`` and ``FUNCTIONS``.
    """
    model.eval()
    try:
        graph = _Tracer().trace(model)
    except Exception as error:  # whatever a forward method does with a stand-in for its input
        raise ExportError(
            f"the network cannot be traced: {error}; its forward must not branch on values"
        ) from error
    module = fx.GraphModule(model, graph)
    module.graph.eliminate_dead_code()
    module.recompile()
    sizes: dict[str, tuple[int, ...]] = {}
    with torch.no_grad():
        Recorder(module, lambda name, value: sizes.update({name: tuple(value.shape[1:])})).run(
            torch.zeros(1, *shape)
        )
    return Traced(_Reader(module, sizes).read(), module)


class _Reader:
    def __init__(self, module: fx.GraphModule, sizes: dict[str, tuple[int, ...]]) -> None:
        self.module, self.sizes = module, sizes
        self.given: dict[fx.Node, _Given] = {}
        self.ops: list[Op] = []
        self.layers: set[str] = set()

    def read(self) -> Graph:
        output: Op | None = None
        for node in self.module.graph.nodes:
            if node.op == "output":
                output = self._output(node)
            else:
                self.given[node] = self._given(node)
        if output is None:
            raise ExportError("the network gives no output")
        return Graph(tuple(self.ops), output)

    def _output(self, node: fx.Node) -> Op:
        result = node.args[0]
        if not isinstance(result, fx.Node) or self.given[result].op.shape[1:] != (1, 1):
            raise ExportError("the network's output is not a single N×classes tensor")
        return self.given[result].op

    def _given(self, node: fx.Node) -> _Given:
        if node.op == "placeholder":
            return _Given(self._op(node, "image", None, []))
        sources = [self._source(node, argument) for argument in self._tensors(node)]
        if node.op == "call_module":
            return self._call(node, self.module.get_submodule(str(node.target)), sources)
        if node.target in FLATTENING:
            return _Given(sources[0].op, flat=True)
        kind = FUNCTIONS.get(node.target)
        if kind is None:
            raise ExportError(f"{node.name}: the packed program has no step for {node.target}")
        return _Given(self._op(node, kind, None, sources), flat=all(s.flat for s in sources))

    def _tensors(self, node: fx.Node) -> list[Any]:
        if node.op == "call_module":
            return list(node.args)
        wanted = 2 if FUNCTIONS.get(node.target) == "add" else 1
        return list(node.args[:wanted])

    def _source(self, node: fx.Node, argument: Any) -> _Given:
        if not isinstance(argument, fx.Node):
            raise ExportError(f"{node.name}: adds a constant, which the packed program has no step for")
        return self.given[argument]

    def _call(self, node: fx.Node, module: nn.Module, sources: list[_Given]) -> _Given:
        source = sources[0]
        if isinstance(module, PASSING):
            return _Given(source.op, flat=source.flat or isinstance(module, nn.Flatten))
        kind = next((kind for classes, kind in MODULES if isinstance(module, classes)), None)
        if kind is None:
            raise ExportError(f"{node.target}: the packed program has no step for {type(module).__name__}")
        for other in sources:
            _check_map(str(node.target), module, other)
        flat = source.flat and not isinstance(module, nn.Linear)
        return _Given(self._op(node, kind, module, sources), flat=flat)

    def _op(self, node: fx.Node, kind: Kind, module: nn.Module | None, sources: list[_Given]) -> Op:
        layer = str(node.target) if node.op == "call_module" else node.name
        layer = node.name if layer in self.layers else layer  # a module that is called twice
        self.layers.add(layer)
        inputs = [source.op for source in sources]
        op = Op(kind, layer, node.name, self._shape(node, module, sources), module, inputs)
        for source in inputs:
            source.users.append(op)
        self.ops.append(op)
        return op

    def _shape(self, node: fx.Node, module: nn.Module | None, sources: list[_Given]) -> Shape:
        size = self.sizes[node.name]
        if len(size) == 3:
            return size[0], size[1], size[2]
        if len(size) != 1:
            raise ExportError(
                f"{node.target}: gives {len(size)}-dimensional values; the packed program has maps C×H×W"
            )
        if sources and sources[0].flat and not isinstance(module, nn.Linear | Concat | Channels):
            return sources[0].op.shape  # features behind a flatten are still a map to the packed program
        return size[0], 1, 1


def _check_map(layer: str, module: nn.Module, source: _Given) -> None:
    single = source.op.shape[1:] == (1, 1)
    if isinstance(module, nn.Linear) and not single and not source.flat:
        raise ExportError(f"{layer}: a dense layer on the last axis of a map; flatten the map before it")
    if isinstance(module, nn.BatchNorm1d) and source.flat and not single:
        raise ExportError(
            f"{layer}: batch norm over the features of a flattened map; normalize the map's channels instead"
        )
    if isinstance(module, (*BENT, Concat, Channels, Gated)) and source.flat and not single:
        raise ExportError(
            f"{layer}: {type(module).__name__} of the features of a flattened map; flatten the map behind it"
        )
