"""Programs of the real streams between products: lines with a bend, gates, maps joined and parted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bnn_train.packed.program import Channels, Concat, Conv, Epilogue, Geometry, Map, Mean, Planes
from packed_bends import bend
from packed_programs import SIGN, UNSIGNED_2, Made, Maker

SAME = Geometry(kernel=(3, 3), padding=(1, 1))
BENDS = ("sigmoid", "prelu", "maxout", "rprelu")
GATED = "scale gate norm residual"
Case = tuple[str, dict[str, Any]]


def bend_cases() -> Iterator[Case]:
    """Names and arguments of ``single_conv``."""
    for kind in BENDS:
        for line in ("activation", "stream"):
            for results in ("f32", "bits", "both"):
                yield f"bend-{kind}-{line}-{results}", {line: kind, "results": results, "outputs": 21}
        yield f"bend-{kind}-codes", {"activation": kind, "stream": kind, "code": UNSIGNED_2, "outputs": 70}
        yield f"bend-{kind}-planes", {"activation": kind, "weight": Planes(count=2), "outputs": 33}
        yield f"bend-{kind}-pixels", {"activation": kind, "source": "u8", "weight": "int3", "channels": 3}
        yield f"bend-{kind}-real", {"activation": kind, "source": "f32", "weight": "f32", "results": "f32"}
        yield f"bend-{kind}-int", {"stream": kind, "source": "f32", "weight": "int1", "outputs": 9}
    groups = Geometry(kernel=(3, 3), padding=(1, 1), groups=4)
    for outputs in (1, 16, 40, 65, 130):
        for results in ("f32", "bits", "both"):
            yield f"gate-{outputs}-{results}", {"parts": GATED, "outputs": outputs, "results": results}
    everything = "scale input_scale classes gate norm residual"
    both = {
        "parts": everything,
        "activation": "rprelu",
        "stream": "maxout",
        "geometry": groups,
        "channels": 40,
    }
    yield "gate-groups", {**both, "outputs": 44}
    yield "gate-pixels", {"parts": GATED, "source": "u8", "weight": "int2", "channels": 3, "outputs": 18}
    yield (
        "gate-dense",
        {"parts": "gate bias", "size": (1, 1), "geometry": Geometry(kernel=(1, 1)), "outputs": 70},
    )
    yield "gate-map", {"parts": "gate", "size": (1, 5), "geometry": Geometry(kernel=(1, 1)), "outputs": 7}


def joined(first: int, second: int, start: int, kept: int, size: tuple[int, int] = (5, 4)) -> Made:
    """Two maps joined, a part of it with its signs, and a part of the part: read as bits and as reals."""
    m = Maker(first)
    x = m.value("f32", *size, first)
    y = m.value("f32", *size, second)
    weight = m.weight("conv", SIGN, second, SAME, first)
    bent = bend(m, "conv", "rprelu", second)
    epilogue = Epilogue(scale=m.reals("conv.scale", second), activation=bent)
    m.steps.append(
        Conv(layer="conv", input=m.binarize(x), output=y, weight=weight, geometry=SAME, epilogue=epilogue)
    )
    wide = m.value("f32", *size, first + second)
    m.steps.append(Concat(layer="join", input=x, second=y, output=wide))
    part = m.value("f32", *size, kept)
    m.steps.append(Channels(layer="part", input=wide, output=part, start=start))
    return m.done(m.head(part, m.binarize(part)))


def gated_map(channels: int = 37, size: tuple[int, int] = (4, 3)) -> Made:
    """A map times the sigmoid of its own mean, added to itself; its square at one pixel."""
    m = Maker(channels)
    x = m.value("f32", *size, channels)
    mean, gate = m.value("f32", 1, 1, channels), m.value("f32", 1, 1, channels)
    m.steps.append(Mean(layer="mean", input=x, output=mean))
    m.steps.append(Map(layer="gate", input=mean, output=gate, epilogue=Epilogue(activation="sigmoid")))
    y = m.value("f32", *size, channels)
    m.steps.append(Map(layer="gated", input=x, output=y, epilogue=Epilogue(gate=gate, residual=x)))
    square = m.value("f32", 1, 1, channels)
    m.steps.append(Map(layer="square", input=gate, output=square, epilogue=Epilogue(gate=gate)))
    last = m.value("f32", *size, channels)
    m.steps.append(Map(layer="last", input=y, output=last, epilogue=Epilogue(gate=square)))
    return m.done(m.head(last, m.binarize(y)))


def stream_programs() -> Iterator[tuple[str, Made]]:
    """Joined and parted maps at the edges of vectors and words, and gated ones."""
    for first, second, start, kept in (
        (1, 1, 1, 1),
        (16, 16, 16, 16),
        (17, 30, 5, 33),
        (64, 32, 0, 96),
        (3, 61, 2, 62),
    ):
        yield f"joined-{first}-{second}-{start}-{kept}", joined(first, second, start, kept)
    yield "gated-map", gated_map()
    yield "gated-pixel", gated_map(16, (1, 1))
