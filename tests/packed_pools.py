"""Programs of one pooling each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bnn_train.packed.program import Geometry, Planes, Pool
from bnn_train.packed.shapes import output_size
from packed_programs import SIGN, Made, Maker


def pool_programs() -> Iterator[tuple[str, Made]]:
    """Maxima of bits and reals, averages, with and without ``ceil``."""
    shapes = {
        "2": Geometry(kernel=(2, 2), stride=(2, 2)),
        "3-2-1": Geometry(kernel=(3, 3), stride=(2, 2), padding=(1, 1)),
        "3-1-1": Geometry(kernel=(3, 3), padding=(1, 1)),
        "2x3": Geometry(kernel=(2, 3), stride=(1, 2), padding=(1, 1)),
        "dilated": Geometry(kernel=(2, 2), stride=(2, 2), dilation=(2, 2), padding=(1, 1)),
    }
    for name, geometry in shapes.items():
        for ceil in (False, True):
            for kind in ("bits", "bits-flip", "planes", "planes-flip", "max", "average", "average-inside"):
                yield f"pool-{kind}-{name}-{'ceil' if ceil else 'floor'}", _pool(kind, geometry, ceil)


def _pool(kind: str, geometry: Geometry, ceil: bool) -> Made:
    m = Maker(1)
    channels = 37
    x = m.value("f32", 9, 8, channels)
    size = output_size(geometry, 9, 8, ceil)
    fields: dict[str, Any] = {"layer": "pool", "geometry": geometry, "ceil": ceil}
    if kind.startswith(("bits", "planes")):
        code = SIGN if kind.startswith("bits") else Planes(count=3)
        x = m.binarize(x, code)
        if kind.endswith("flip"):
            fields["flip"] = m.tensor("pool.flip", m.rng.integers(0, 2, channels), "uint8")
        y = m.value("bits", *size, channels, code)
        m.steps.append(Pool(input=x, output=y, kind="max", **fields))
        return m.done(m.head(None, y))
    y = m.value("f32", *size, channels)
    which: Any = "max" if kind == "max" else "average"
    m.steps.append(Pool(input=x, output=y, kind=which, include_padding=kind != "average-inside", **fields))
    return m.done(m.head(y, None))
