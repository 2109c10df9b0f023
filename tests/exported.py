"""Packed networks to write in other formats, and what these must answer."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.export.targets.target import Content
from bnn_train.packed import PackedModel
from bnn_train.packed.operands import adds_in_order
from bnn_train.packed.program import Conv, Preprocess, Program, RealWeight, version_of
from bnn_train.packed.program import Images as ImageContract
from lowering import Pair
from lowering import header_of as header_of_pair
from packed_grid import grid
from packed_programs import Made
from packed_programs import header_of as header_of_made

CASES = dict(grid())
QUICK = (
    "channels-33", "dense-70000-thresholds", "7x7-stride-pad1", "dilation-pad-1-whole", "depthwise-2",
    "padding-wide-pad1", "groups-4-pad0", "codes-u3-s2-pad1", "codes-ternary-u1-pad0", "to-u2-whole", "to-s2",
    "epilogue-scale-input_scale-classes-norm-residual-both", "whole-both-flip1", "classes-strided",
    "pixels-3-int3-0", "pixels-5-bits2-0", "pixels-3-gain", "pixels-stem", "pixels-dense", "pixels-groups",
    "pixels-order-1-large",
    "real-int1-both", "real-int1-dense", "planes-d2-p3", "planes-groups-pad1", "planes-digits-3",
    "planes-whole", "bend-sigmoid-codes", "bend-prelu-int", "gate-groups", "residual-net", "gated-map",
    "joined-", "pool-bits-flip-3-2-1-ceil", "pool-planes-2x3-floor", "pool-max-dilated-ceil",
    "pool-average-3-2-1-ceil", "pool-average-inside-2x3-floor",
)  # fmt: skip
SOME = [n for n in CASES if any(n == q or (q.endswith("-") and n.startswith(q)) for q in QUICK)]

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


def agreed(made: Made) -> bool:
    """Whether everyone can be asked for the same bits: no sums of reals with reals, nor of pixels by weights
    of two digits and more, which some formats round once at the end."""
    program = made.program
    return made.exact and not any(
        adds_in_order(program.values[step.input], step.weight, len(made.tensors[step.weight.tensor]))
        for step in program.steps
        if isinstance(step, Conv)
    )


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


PREPROCESSES: dict[str, dict[str, Any]] = {
    "scale01": {},
    "signed": {},
    "mean_std": {"mean": (3,), "std": (3,)},
    "pixel_mean": {"mean": (3, 6, 5)},
    "gcn": {"options": {"scale": 55.0, "norm": "l2", "bias": 0.5}},
    "zca": {"mean": (90,), "matrix": (90, 90)},
    "lcn": {"options": {"kernel": 5, "threshold": 0.01}},
}


def preprocessed(kind: str) -> Content:
    """A network behind a preprocessing with random statistics."""
    given, content = dict(PREPROCESSES[kind]), content_of(CASES["to-sign"])
    header, draw = content.header, np.random.default_rng(1)
    options, size = given.pop("options", {}), content.header.images
    shapes = {name: _fit(shape, size) for name, shape in given.items()}
    tensors = {
        f"pre.{name}": np.abs(draw.standard_normal(shape)).astype(np.float32)
        for name, shape in shapes.items()
    }
    fields: dict[str, Any] = {"kind": kind, "options": options}
    step = Preprocess(tensors={name: f"pre.{name}" for name in given}, **fields)
    images = size.model_copy(update={"preprocess": (step,)})
    return Content(header.model_copy(update={"images": images}), {**content.tensors, **tensors})


def _fit(shape: tuple[int, ...], size: ImageContract) -> tuple[int, ...]:
    """The shapes above, for images of another size."""
    pixels = size.channels * size.height * size.width
    return tuple({3: size.channels, 90: pixels, 6: size.height, 5: size.width}[n] for n in shape)
