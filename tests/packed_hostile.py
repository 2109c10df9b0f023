"""Packed files that are consistent in every index, type and digest, and that would still break or wear down
whoever opens them: made here, byte for byte, around the rules that they must meet."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed import container, strict_json
from bnn_train.packed.program import (
    BitWeight,
    Conv,
    Geometry,
    Header,
    Images,
    IntWeight,
    Mean,
    Pool,
    Preprocess,
    Program,
    RealWeight,
    Step,
    Value,
)

Tensors = dict[str, NDArray[Any]]


def value(height: int, width: int, channels: int, kind: str = "f32") -> Value:
    """A map without a code."""
    return Value(type=kind, height=height, width=width, channels=channels)  # type: ignore[arg-type]


def file(
    values: list[Value], steps: list[Step], tensors: Tensors, preprocess: tuple[Preprocess, ...] = ()
) -> bytes:
    """The file of a program whose last value is a map; its mean is the output."""
    last = values[-1]
    values = [*values, value(1, 1, last.channels)]
    steps = [*steps, Mean(layer="mean", input=len(values) - 2, output=len(values) - 1)]
    source = values[0]
    header = Header(
        version=1,
        images=Images(
            height=source.height, width=source.width, channels=source.channels, preprocess=preprocess
        ),
        classes=tuple(f"class {c}" for c in range(last.channels)),
        method="m",
        model="n",
        program=Program(values=tuple(values), steps=tuple(steps), output=len(values) - 1),
        experiment={},
        made_by="tests",
    )
    return container.assemble(strict_json.dump(header.model_dump()), tensors)


def signs(outputs: int, count: int) -> NDArray[np.uint8]:
    """Filters of ``count`` signs +1."""
    return np.zeros((1, outputs, -(-count // 8)), np.uint8)


def wrapping_border(padding: int = 2**23, channels: int = 65_536, stride: int = 2**24 - 1) -> bytes:
    """The bytes of the padded map are 2⁶⁴ for the defaults, 0 in 64 bits: borders were written through a
    buffer of nothing."""
    size = (1 + 2 * padding - 1) // stride + 1
    conv = Conv(
        layer="a",
        input=0,
        output=1,
        weight=BitWeight(tensor="w"),
        geometry=Geometry(kernel=(1, 1), padding=(padding, padding), stride=(stride, stride)),
    )
    return file([value(1, 1, channels, "u8"), value(size, size, 1)], [conv], {"w": signs(1, channels)})


def bordered_chain(count: int = 3, first: int = 5000, last: int = 6707) -> bytes:
    """Gigabytes of border around a map of one pixel, another one for every step."""
    eye = np.eye(16, dtype=np.float32).reshape(16, 1, 1, 16)
    lift = Conv(
        layer="z",
        input=0,
        output=1,
        weight=IntWeight(tensor="w0"),
        geometry=Geometry(kernel=(1, 1)),
    )
    steps: list[Step] = [lift]
    for i in range(count):
        geometry = Geometry(kernel=(1, 1), padding=(first + i, last - i), stride=(2**24, 2**24))
        weight = RealWeight(kind="f32", tensor="w")
        steps.append(Conv(layer="c", input=i + 1, output=i + 2, weight=weight, geometry=geometry))
    values = [value(1, 1, 1, "u8"), *[value(1, 1, 16)] * (count + 1)]
    return file(values, steps, {"w": eye, "w0": np.ones((1, 16, 1, 1, 1), np.int8)})


def long_kernel(rows: int = 4096, padding: int | None = None) -> bytes:
    """As many border classes as twice the kernel's rows, each compared with all of them."""
    padding = rows - 1 if padding is None else padding
    conv = Conv(
        layer="a",
        input=0,
        output=1,
        weight=BitWeight(tensor="w"),
        geometry=Geometry(kernel=(rows, 1), padding=(padding, 0)),
    )
    values = [value(rows, 1, 1, "u8"), value(2 * padding + 1, 1, 1)]
    return file(values, [conv], {"w": signs(1, rows)})


def long_map(rows: int = 2**24, pools: int = 30) -> bytes:
    """A map of one pixel's width, pooled again and again, whose windows were looked at one by one."""
    one = Geometry(kernel=(1, 1))
    steps: list[Step] = [Conv(layer="a", input=0, output=1, weight=BitWeight(tensor="w"), geometry=one)]
    steps += [Pool(layer="p", input=i, output=i + 1, kind="max", geometry=one) for i in range(1, pools + 1)]
    return file([value(rows, 1, 1, "u8"), *[value(rows, 1, 1)] * (pools + 1)], steps, {"w": signs(1, 1)})


def slow_pixels(side: int = 224, kernel: int = 255, times: int = 1) -> bytes:
    """A preprocessing of thousands of millions of products for every image."""
    step = Preprocess(kind="lcn", options={"kernel": kernel, "threshold": 1.0})
    return file([value(side, side, 3)], [], {}, (step,) * times)
