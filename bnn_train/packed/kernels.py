"""The choice of the engine that runs a program: the one asked for, else the fastest of this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from bnn_train.packed.engine import Engine
from bnn_train.packed.errors import KernelError, NativeUnavailable
from bnn_train.packed.program import Program
from bnn_train.packed.reference import engine as reference

Tensors = Mapping[str, NDArray[Any]]
NAMES = ("reference", "portable", "avx2", "avx512", "neon")
VARIABLES = ("BNN_ISA", "BNN_KERNEL")
"""The environment's, the first one set; the second is the name of earlier releases."""
_told: list[str] = []


def asked_for() -> str | None:
    """The instruction set, or ``reference``, that the environment names."""
    return next(filter(None, map(os.environ.get, VARIABLES)), None)


def build(
    program: Program, tensors: Tensors, isa: str | None = None, memory_limit: int | None = None
) -> Engine:
    """The engine named by ``isa``, an instruction set or ``reference``, else by the variable BNN_ISA, else
    the best there is; its memory beside the tensors stays within the limit.

    Raises KernelError for a name that does not exist, NativeUnavailable for one that cannot run here,
    PackedFileError where one image does not fit in the limit.
    """
    wanted = isa or asked_for()
    if wanted is not None and wanted not in NAMES:
        raise KernelError(f"instruction set {wanted!r} does not exist; choose one of {', '.join(NAMES)}")
    if wanted == "reference":
        return reference.build(program, tensors, memory_limit)
    try:
        return _native(program, tensors, memory_limit, wanted)
    except NativeUnavailable as reason:
        if wanted is not None:
            raise
        _tell(f"bnn_train.packed: {reason}; running the slow numpy reference\n")
        return reference.build(program, tensors, memory_limit)


def _native(program: Program, tensors: Tensors, memory_limit: int | None, wanted: str | None) -> Engine:
    from bnn_train.packed import native  # the reference needs no ctypes

    found = native.available()
    if not found:
        raise NativeUnavailable("the native kernels are not built (python -m bnn_train.packed.build)")
    if wanted is not None and wanted not in found:
        raise NativeUnavailable(
            f"instruction set {wanted} cannot run on this machine; it has {', '.join(found)} and reference"
        )
    return native.build(program, tensors, wanted or found[0], memory_limit)


def _tell(line: str) -> None:
    """Once in a process."""
    if not _told:
        _told.append(line)
        sys.stderr.write(line)
