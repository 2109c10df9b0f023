"""Every rule of the packed format, checked before a kernel sees a file: it is untrusted input.

``FORMAT.md`` §6 has the rules as a table. Those of the bytes are checked in ``container``, ``layout`` and
``strict_json``, those of single fields in ``program`` and ``operands``; ``check`` does the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from bnn_train.packed.errors import PackedFileError
from bnn_train.packed.facts import Facts
from bnn_train.packed.graph import check_graph
from bnn_train.packed.inference import check_shapes
from bnn_train.packed.limits import check_limits
from bnn_train.packed.memory import default_limit
from bnn_train.packed.preprocess_rules import check_images, check_size, check_work, image_bytes
from bnn_train.packed.program import VERSION, Header, version_of
from bnn_train.packed.tensor_rules import check_tensors


def check(header: Header, tensors: Mapping[str, NDArray[Any]], memory_limit: int | None = None) -> None:
    """Raises PackedFileError for the first rule that header and tensors break.

    ``memory_limit``: bytes that the file and all that is made of it may take; default:
    ``memory.default_limit``.
    """
    program = header.program
    _check_version(header.version, version_of(program))
    file_bytes = sum(tensor.nbytes for tensor in tensors.values())
    limit = default_limit(file_bytes) if memory_limit is None else memory_limit
    check_graph(program)
    check_shapes(program)
    check_size(header)
    check_work(header.images)
    check_limits(program, limit, file_bytes + image_bytes(header.images))
    facts = Facts(tensors)
    used = check_images(header, facts) | check_tensors(program, facts)
    unused = sorted(set(tensors) - used)
    if unused:
        raise PackedFileError(f"tensor {unused[0]}: no step uses it; a file holds nothing that is not needed")


def _check_version(told: int, needed: int) -> None:
    """A program has one version: the earliest that can hold it."""
    if not 1 <= told <= VERSION:
        raise PackedFileError(f"the header's version is {told}, this bnn_train reads 1 to {VERSION}")
    if told < needed:
        raise PackedFileError(f"the header's version is {told}, but parts of its program came with {needed}")
    if told > needed:
        raise PackedFileError(
            f"the header's version is {told}, but nothing in the program is newer than version {needed}"
        )
