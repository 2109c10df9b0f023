"""Operators on constants alone, done at once, so that weights stand where they are multiplied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.export.targets.graph.graph import Graph

Array = NDArray[Any]


def fold(g: Graph) -> None:
    """Replace what depends on constants alone by its numbers, and drop constants that nobody reads."""
    kept = []
    for node in g.nodes:
        known = [g.constants.get(name) for name in node.inputs]
        found = [array for array in known if array is not None]
        if node.kind in _DO and len(found) == len(known):
            g.constants[node.output] = np.ascontiguousarray(_DO[node.kind](*found, **node.attributes))
        else:
            kept.append(node)
    g.nodes[:] = kept
    g.keep({name for node in kept for name in node.inputs})


def _reshape(x: Array, shape: Array) -> Array:
    sizes = [x.shape[i] if size == 0 else int(size) for i, size in enumerate(shape)]
    return x.reshape(sizes)


def _slice(x: Array, starts: Array, ends: Array, axes: Array, steps: Array) -> Array:
    where: list[slice] = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        where[axis] = slice(start, end, step)
    return x[tuple(where)]


_DO: dict[str, Callable[..., Array]] = {
    "Transpose": lambda x, perm: x.transpose(perm),
    "Reshape": _reshape,
    "Slice": _slice,
    "Cast": lambda x, to: x.astype(to),
    "Gather": lambda x, at, axis: np.take(x, at, axis=axis),
    "Mul": np.multiply,
    "Add": np.add,
    "Sub": np.subtract,
    "Div": np.divide,
}
