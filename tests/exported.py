"""Packed networks to write in other formats, and what these must answer."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.export.targets.target import Content
from bnn_train.packed import PackedModel
from bnn_train.packed.program import Conv, Program, RealWeight, version_of
from lowering import Pair
from lowering import header_of as header_of_pair
from packed_programs import Made
from packed_programs import header_of as header_of_made

Logits = NDArray[np.float32]
Images = NDArray[np.uint8]


def content_of(made: Made) -> Content:
    """A program as a packed file would hold it."""
    return Content(header_of_made(made), made.tensors)


def ending_exactly(made: Pair) -> Content:
    """A lowered network as a packed file would hold it, without a last layer of real weights on real numbers:
    the order of its sum is everyone's own."""
    header, tensors = header_of_pair(made.lowered, made.shape), made.lowered.tensors
    last = header.program.steps[-1]
    if not isinstance(last, Conv) or not isinstance(last.weight, RealWeight):
        return Content(header, tensors)
    assert header.program.output == len(header.program.values) - 1
    values = header.program.values[:-1]
    program = Program(values=values, steps=header.program.steps[:-1], output=last.input)
    classes = tuple(map(str, range(values[last.input].channels)))
    cut = header.model_copy(update={"program": program, "classes": classes, "version": version_of(program)})
    own = set(re.findall(r'"([\w.-]+)"', cut.model_dump_json()))
    return Content(cut, {name: tensor for name, tensor in tensors.items() if name in own})


def noise(content: Content, count: int = 3) -> Images:
    """Random images of a network's size."""
    size = content.header.images
    shape = (count, size.height, size.width, size.channels)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def wanted(content: Content, images: Images) -> Logits:
    """The reference's logits."""
    return PackedModel.from_parts(content.header, dict(content.tensors), isa="reference")(images)


def differing(found: Any, right: Logits) -> int:
    """The count of logits that are not the same float32."""
    assert found.dtype == np.float32
    assert found.shape == right.shape
    return int((~((found == right) | (np.isnan(found) & np.isnan(right)))).sum())
