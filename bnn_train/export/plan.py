"""Groups operations into steps: a product with what follows it, a quantizer with what stands before it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from bnn_train.errors import ExportError
from bnn_train.export.bends import is_monotone
from bnn_train.export.graph import ACTIVATIONS, ELEMENTWISE, Graph, Key, Op, key_of, scales_input


@dataclass(frozen=True)
class Segment:
    """A product or another value, and what an epilogue lays over it."""

    base: Op
    folds: bool
    """Whether the base is a product that nothing else reads, so that its own step does all of this."""
    gate: Op | None = None
    norm: Op | None = None
    activation: Op | None = None
    residual: Op | None = None
    """The value that is added."""
    stream: Op | None = None

    @property
    def plain(self) -> bool:
        """Whether it is the base itself."""
        return self == Segment(self.base, self.folds)

    @property
    def beside(self) -> list[Op]:
        """The values that it reads beside its base."""
        gate = [] if self.gate is None else [self.gate.inputs[1]]
        return gate if self.residual is None else [*gate, self.residual]


@dataclass(frozen=True, eq=False)
class Quantization:
    """The bits that some products read."""

    value: Op
    """The value that they quantize."""
    key: Key
    products: tuple[Op, ...]
    base: Op
    """The number that is compared with thresholds: everything in ``chain`` is folded into them."""
    chain: tuple[Op, ...]
    """From the base to the value: elementwise operations and max-poolings, each with one reader."""


@dataclass(frozen=True)
class Plan:
    """The operations that become steps, in order."""

    graph: Graph
    emitted: tuple[Op, ...]
    real: frozenset[Op]
    """Values that exist as real numbers."""
    quantizations: dict[Op, list[Quantization]] = field(default_factory=dict)
    """By base."""


def plan(graph: Graph) -> Plan:
    """The steps of a graph: as few real values as its readers allow."""
    by_base: dict[Op, list[Quantization]] = {}
    for quantization in _quantizations(graph):
        by_base.setdefault(quantization.base, []).append(quantization)
    emitted, real = _Needs(by_base).of(graph)
    order = tuple(op for op in graph.ops if op in emitted)
    return Plan(graph, order, frozenset(real), by_base)


class _Needs:
    """Finds the operations that need a step, and those of them whose real values are read."""

    def __init__(self, by_base: dict[Op, list[Quantization]]) -> None:
        self.by_base = by_base
        self.emitted: set[Op] = set()
        self.real: set[Op] = set()

    def of(self, graph: Graph) -> tuple[set[Op], set[Op]]:
        self._real(graph.output)
        for op in graph.ops:
            if op.kind == "product" and (key_of(op) is None or scales_input(op)):
                self._real(op.inputs[0])
        for base, quantizations in self.by_base.items():
            self._emit(base)
            if len(quantizations) > 1 or not emits(base):
                self._real(base)
        return self.emitted, self.real

    def _real(self, op: Op) -> None:
        self.real.add(op)
        self._emit(op)

    def _emit(self, op: Op) -> None:
        todo = [op]
        while todo:
            op = todo.pop()
            if op in self.emitted:
                continue
            self.emitted.add(op)
            needed = _needed(op)
            self.real.update(needed)
            todo += needed


def emits(op: Op) -> bool:
    """Whether the step that gives this value may give bits as well."""
    return op.kind in (*ELEMENTWISE, "sigmoid", "gate", "product", "add")


def _needed(op: Op) -> list[Op]:
    """The real values that the step of an operation reads; products see to their own inputs."""
    if not emits(op):
        return list(op.inputs)
    found = segment(op)
    return found.beside if found.folds else [found.base, *found.beside]


def segment(op: Op) -> Segment:
    """The longest stretch that ends at ``op`` and fits one epilogue:
    [gate] [norm] [act] [+ residual] [act]."""
    if op.kind in ACTIVATIONS and _only(op.inputs[0]) and op.inputs[0].kind == "add":
        return replace(_sum(op.inputs[0]), stream=op)
    return _sum(op) if op.kind == "add" else _arm(op)


def _sum(op: Op) -> Segment:
    """An addition on top of an arm, of two the one that ends in a product; addition commutes."""
    first, second = op.inputs
    if first.shape != second.shape:
        raise ExportError(
            f"{op.layer}: adds values of different shapes, which the packed program has no step for"
        )
    arms = [
        replace(_arm(own), residual=other)
        for own, other in ((first, second), (second, first))
        if _only(own) and own.kind in (*ELEMENTWISE, "sigmoid", "gate", "product")
    ]
    arms.sort(key=lambda arm: not arm.folds)
    return arms[0] if arms else Segment(first, folds=False, residual=second)


_PARTS = (("activation", ACTIVATIONS), ("norm", ("norm",)), ("gate", ("gate",)))


def _arm(op: Op) -> Segment:
    """[gate] [norm] [act], or ``op`` itself."""
    parts: dict[str, Op] = {}
    for part, kinds in _PARTS:
        if op.kind not in kinds:
            continue
        parts[part], op = op, op.inputs[0]
        if not _only(op):
            return Segment(op, folds=False, **parts)
    return Segment(op, folds=op.kind == "product", **parts)


def _only(op: Op) -> bool:
    """Whether a value has a single reader, so that the reader may absorb it."""
    return len(op.users) == 1


def _quantizations(graph: Graph) -> list[Quantization]:
    """Every quantizer, once for all products that share it."""
    readers: dict[tuple[Op, Key], list[Op]] = {}
    for op in graph.ops:
        key = key_of(op)
        if key is not None:
            readers.setdefault((op.inputs[0], key), []).append(op)
    return [_quantization(value, key, tuple(products)) for (value, key), products in readers.items()]


def _quantization(value: Op, key: Key, products: tuple[Op, ...]) -> Quantization:
    chain: list[Op] = []
    base = value
    while _absorbs(base, key, chain[0:1] or list(products)):
        chain.insert(0, base)
        base = base.inputs[0]
    return Quantization(value, key, products, base, tuple(chain))


def _absorbs(op: Op, key: Key, readers: list[Op]) -> bool:
    """Whether thresholds may absorb an operation: monotone, and no reader needs its real value."""
    if not is_monotone(op) and not (op.kind == "maxpool" and key.pools):
        return False
    return set(op.users) == set(readers) and not any(scales_input(reader) for reader in readers)
