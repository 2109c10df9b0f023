"""Lines with a bend between products, and where a chain of such operations rises or falls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from bnn_train.binary.nonlinear import PReLU, RPReLU
from bnn_train.errors import ExportError
from bnn_train.export.graph import Op
from bnn_train.export.numbers import F32, array, norm_of

NAMES = ("before", "prelu.negative", "prelu.positive", "after")
"""Of an ``RPReLU``, in the order of computation; of a ``PReLU`` without its child's name."""


def bend_of(op: Op) -> dict[str, F32]:
    """The numbers of a PReLU or RPReLU by their names in the module: ``negative``, ``prelu.negative``, …;
    float32 C each."""
    module: Any = op.module
    if isinstance(module, nn.PReLU):
        found = {"negative": module.weight}
    else:
        inner = "" if isinstance(module, PReLU) else "prelu."
        names = [n.removeprefix("prelu.") if not inner else n for n in NAMES]
        found = {name: _read(module, name) for name in names}
    arrays = {n: array(t.expand(op.channels)) for n, t in found.items() if isinstance(t, Tensor)}
    if not all(np.isfinite(a).all() for a in arrays.values()):
        raise ExportError(
            f"{op.layer}: a slope or shift is not finite; the checkpoint is of a run that diverged"
        )
    return arrays


def _read(module: Any, name: str) -> Any:
    for part in name.split("."):
        module = getattr(module, part, None)
    return module


def slopes(op: Op) -> tuple[F32, F32]:
    """Below and above the bend."""
    found = {name.rpartition(".")[2]: numbers for name, numbers in bend_of(op).items()}
    return found["negative"], found.get("positive", np.ones(op.channels, np.float32))


def is_monotone(op: Op) -> bool:
    """Whether an operation never turns round, in any channel: it may then be folded into thresholds."""
    if op.kind != "prelu":
        return op.kind in ("norm", "relu", "hardtanh")
    below, above = slopes(op)
    return bool((np.sign(below) * np.sign(above) >= 0).all())


def falls(ops: Sequence[Op]) -> NDArray[np.bool_]:
    """For each channel, whether a chain of monotone operations falls: an odd number of γ < 0 or slopes
    < 0."""
    result = np.zeros(ops[0].channels if ops else 1, dtype=np.bool_)
    for op in ops:
        if op.kind == "norm":
            result ^= norm_of(op)[0] < 0
        if op.kind == "prelu":
            result ^= np.minimum(*slopes(op)) < 0
    return result


BENT = (nn.PReLU, PReLU, RPReLU)
"""The modules."""
