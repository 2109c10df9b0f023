"""Every rule that a packed file's content must keep, checked before a kernel sees it: the file is untrusted
input.

=====  ==========================================================================================
========================== rule   what
where =====  ==========================================================================================
========================== 1      size, format marker, version
container, layout 2      length of the header ≤ 1 MiB and ≤ the file
layout.header_length 3      UTF-8, JSON, depth, each key once, no unknown key
canonical, program (closed) 4      at most 4096 tensors, values, steps; names
layout, program 5      types, operations, kinds from a table
layout, program 6      1 to 5 dimensions of 1…2²⁴, ≤ 2³⁶ elements
layout._check_shape 7      bytes = elements · size
layout._check_cover 8      contiguous cover, no gap, overlap or tail; one order
layout._check_cover 9      unused bits are 0
contents 10     reals finite, ≤ 1e30; whole thresholds within the product's range
contents 11     every index known, values written once and before they are read, every tensor used
graph, tensors 12     shapes agree, windows fit, output = classes
inference 13     memory of one image ≤ the caller's limit, work bounded
limits 14     SHA-256 of every tensor and of the whole, before use
container._check_digests 15     no text is ever a path, a format or code
(nothing interprets any) 16     one content, one spelling
container._read 17     every mistake is a PackedFileError
all 18     counts bounded before they are used                                                         layout,
limits 19     a private copy of the bytes, and no more or fewer than the file had
container._read 20     a missing digest is refused
container._check_metadata =====
==========================================================================================
==========================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from bnn_train.packed.errors import PackedFileError
from bnn_train.packed.graph import check_graph
from bnn_train.packed.inference import check_shapes
from bnn_train.packed.limits import MEMORY_LIMIT, check_limits
from bnn_train.packed.preprocess_rules import check_images
from bnn_train.packed.program import VERSION, Header
from bnn_train.packed.tensor_rules import check_tensors

__all__ = ["MEMORY_LIMIT", "check"]


def check(header: Header, tensors: Mapping[str, NDArray[Any]], memory_limit: int = MEMORY_LIMIT) -> None:
    """Raises PackedFileError for the first rule that header and tensors break."""
    if header.version != VERSION:
        raise PackedFileError(f"the header's version is {header.version}, this bnn_train reads {VERSION}")
    program = header.program
    check_graph(program)
    check_limits(program, memory_limit)
    check_shapes(program)
    used = check_images(header, tensors) | check_tensors(program, tensors)
    unused = sorted(set(tensors) - used)
    if unused:
        raise PackedFileError(f"tensor {unused[0]}: no step uses it; a file holds nothing that is not needed")
