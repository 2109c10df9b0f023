"""The programs that a page can hold: what JavaScript's numbers cannot do is refused by layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.errors import ExportError
from bnn_train.packed.bits import code_numbers
from bnn_train.packed.operands import term_code
from bnn_train.packed.program import BitWeight, Conv, Header, IntWeight, Program

Tensors = Mapping[str, NDArray[Any]]
EXACT = 2**53
"""JavaScript's numbers are float64, which hold whole numbers below this."""
LARGEST = 64 * 2**20
"""Bytes of a packed file; a page is a third larger."""
OPEN_PREPROCESSING = ("gcn", "zca", "lcn")
"""Their sums of reals have no order of their own."""


def check(header: Header, tensors: Tensors, size: int) -> None:
    """Raises ExportError for a program whose page would be wrong, or too large for a browser."""
    if size > LARGEST:
        raise ExportError(f"the packed file has {size:,} bytes; a page carries at most {LARGEST:,}")
    for step in header.program.steps:
        if isinstance(step, Conv):
            bound = _bound(step, header.program, tensors)
            if bound >= EXACT:
                raise ExportError(
                    f"{step.layer}: its sums of pixels reach {bound:,}, and a page counts exactly below"
                    f" {EXACT:,} only; export with --first-layer int16 or int8"
                )


def is_exact(header: Header) -> bool:
    """Whether every number of the program is defined to the last bit: no sum of reals whose order the format
    leaves open."""
    program = header.program
    sums = (step for step in program.steps if isinstance(step, Conv))
    is_open = any(program.values[s.input].type == "f32" and not isinstance(s.weight, IntWeight) for s in sums)
    return not is_open and all(step.kind not in OPEN_PREPROCESSING for step in header.images.preprocess)


def _bound(step: Conv, program: Program, tensors: Tensors) -> int:
    """The largest magnitude of a sum of pixels; 0 for other inputs, whose sums the format bounds by 2³¹."""
    source, weight = program.values[step.input], step.weight
    if source.type != "u8":
        return 0
    if isinstance(weight, IntWeight):
        digits = np.abs(tensors[weight.tensor].astype(np.int64))
        sums = digits.reshape(*digits.shape[:2], -1).sum(axis=2)
        return 255 * int((256 ** np.arange(len(sums), dtype=np.int64) @ sums).max())
    if isinstance(weight, BitWeight):
        inner = source.channels // step.geometry.groups
        gains = inner if weight.gain is None else int(tensors[weight.gain].sum(dtype=np.int64))
        largest = int(np.abs(code_numbers(term_code(weight.code))).max())
        return 255 * largest * gains * step.geometry.kernel[0] * step.geometry.kernel[1]
    return 0
