"""Every rule that a packed file must keep, checked before a kernel sees it: the file is untrusted input.

1. Size, format marker, version (``container``); a header of at most 1 MiB that the file has (``layout``).
2. Text is UTF-8 and JSON of bounded depth, each key once, no unknown key (``canonical``, ``program``).
3. At most 4096 tensors, values and steps; names, types, operations and kinds from a table (``layout``,
   ``program``).
4. Tensors have 1 to 5 dimensions of 1 to 2²⁴ and as many bytes as elements ask for; they cover the rest of
   the file without gap, overlap or tail, in one order (``layout``).
5. SHA-256 of every tensor and of the whole, none missing, before use (``container``).
6. Every index is known; values are written once, before they are read (``graph``); every tensor is used.
7. Shapes agree, windows fit, padding is bounded by the window, every pooling sees the map (``inference``).
8. The memory of one image, of its preprocessing and of the file stays within the caller's limit; taps and
   work are bounded (``limits``, ``preprocess_rules``). Engines count what they take to the byte, and refuse
   what leaves the limit.
9. Unused bits are 0; reals are finite, at most 1e30; whole thresholds lie within the product's range; sums
   stay in the type that adds them (``tensor_rules``, ``contents``).
10. No text is ever a path, a format or code; one content has one spelling (``container``).
11. Every mistake is a PackedFileError, told in one sentence; checks take time in proportion to the file.
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
        raise PackedFileError(
            f"the header's version is {told}, but planes of real factors came with {needed}"
        )
    if told > needed:
        raise PackedFileError(
            f"the header's version is {told}, but nothing in the program is newer than version {needed}"
        )
