"""Whole-number thresholds against the torch modules themselves, on both sides of every flip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bnn_train.errors import ExportError
from bnn_train.export.emit import modules_of
from bnn_train.export.graph import Op, binary
from bnn_train.export.lower import Lowering
from bnn_train.export.numbers import chain_function, codes_function, product_function
from bnn_train.export.weights import bound_of
from bnn_train.packed.bits import code_numbers
from bnn_train.packed.program import Code, Conv, Planes, Program

Tensors = Mapping[str, NDArray[Any]]


def check_flips(lowered: Lowering, program: Program, tensors: Tensors) -> int:
    """Compare at t and beside it, for every threshold t of ``program``; how many numbers were compared.

    Raises ExportError with the layer's name where the code is not the one that the modules give.
    """
    compared = 0
    for i, step in enumerate(program.steps):
        if isinstance(step, Conv) and step.thresholds and tensors[step.thresholds.tensor].dtype == np.int32:
            compared += _check(step, lowered, lowered.built.sources[i], tensors)
    return compared


def _check(step: Conv, lowered: Lowering, op: Op, tensors: Tensors) -> int:
    if step.thresholds is None or step.bits is None:
        raise TypeError("only a step with thresholds is checked")
    levels = tensors[step.thresholds.tensor].astype(np.int64)
    flip = tensors[step.thresholds.flip] if step.thresholds.flip else np.zeros(levels.shape[1], np.uint8)
    bound = bound_of(op)
    numbers = np.concatenate([levels - 1, levels, levels + 1]).clip(-bound, bound)
    passed = np.where(flip, numbers[:, None] <= levels, numbers[:, None] >= levels)  # M×L×C
    code = lowered.program.values[step.bits].code or Code()
    true = _codes(lowered, step.bits, op, numbers)
    if isinstance(code, Planes) and code.digits:
        wrong = true != passed.sum(axis=1)
    elif isinstance(code, Planes):
        wrong = true != np.where(passed, 1, -1).swapaxes(0, 1)
    else:
        wrong = true != code_numbers(code)[passed.sum(axis=1)]
    if wrong.any():
        raise ExportError(f"{step.layer}: {wrong.sum()} thresholds differ from its modules; report this")
    return int(numbers.size)


def _codes(lowered: Lowering, bits: int, op: Op, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """The codes that the modules give for products ``numbers`` (M×C), of several bases P×M×C."""
    meaning = lowered.built.meanings[bits]
    quantization = next(
        q for q in lowered.plan.quantizations[op] if (q.chain, q.key) == (meaning.then, meaning.key)
    )
    layer = binary(quantization.products[0])
    if layer is None:
        raise TypeError("quantizers belong to binary layers")
    y = product_function(op)(torch.from_numpy(numbers).float())
    return codes_function(layer)(chain_function(modules_of(quantization.chain))(y)).numpy().astype(np.int64)
