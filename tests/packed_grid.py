"""The grid of programs on which every engine must equal the reference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bnn_train.packed.program import Conv, Epilogue, Geometry, Map, Planes, Subsample
from packed_pools import pool_programs
from packed_programs import (
    SIGN,
    SYMMETRIC_2,
    TERNARY,
    UNSIGNED_1,
    UNSIGNED_2,
    UNSIGNED_3,
    Made,
    Maker,
    single_conv,
)
from packed_streams import bend_cases, stream_programs

DIGITS_2 = Planes(count=2, digits=True)
SAME = Geometry(kernel=(3, 3), padding=(1, 1))
Case = tuple[str, dict[str, Any]]


def conv_cases() -> Iterator[Case]:
    """Names and arguments of ``single_conv``."""
    yield from _widths()
    yield from _geometries()
    yield from _codes()
    yield from _epilogues()
    yield from _pixels()
    yield from _reals()
    yield from _planes()
    yield from bend_cases()


def _widths() -> Iterator[Case]:
    for channels in (1, 3, 31, 32, 33, 64, 65, 100, 128, 256, 480):
        yield f"channels-{channels}", {"channels": channels, "outputs": 5}
    for outputs in (1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130):
        yield (
            f"outputs-{outputs}",
            {"channels": 40, "outputs": outputs, "whole_thresholds": True, "parts": ""},
        )
    wide = {"channels": 512, "outputs": 16, "size": (4, 4), "whole_thresholds": True, "parts": ""}
    yield "products-4608", wide
    dense = {"size": (1, 1), "geometry": Geometry(kernel=(1, 1)), "channels": 70_000, "outputs": 5}
    yield "dense-70000", dense
    yield "dense-70000-thresholds", {**dense, "whole_thresholds": True, "parts": ""}
    yield "dense-map", {"size": (4, 6), "geometry": Geometry(kernel=(4, 6)), "channels": 37, "outputs": 10}
    for size in ((3, 3), (1, 1), (1, 17), (20, 3), (13, 13)):
        yield f"map-{size[0]}x{size[1]}", {"size": size, "channels": 64, "outputs": 6}


def _geometries() -> Iterator[Case]:
    shapes = {
        "1x1": Geometry(kernel=(1, 1)),
        "1x3": Geometry(kernel=(1, 3), padding=(0, 1)),
        "5x5": Geometry(kernel=(5, 5), padding=(2, 2)),
        "7x7-stride": Geometry(kernel=(7, 7), stride=(2, 2), padding=(3, 3)),
        "stride-2": Geometry(kernel=(3, 3), stride=(2, 2), padding=(1, 1)),
        "stride-1x3": Geometry(kernel=(2, 3), stride=(1, 3), padding=(1, 0)),
        "1x1-stride": Geometry(kernel=(1, 1), stride=(2, 2)),
        "dilation": Geometry(kernel=(3, 3), padding=(2, 2), dilation=(2, 2)),
        "padding-wide": Geometry(kernel=(2, 2), padding=(3, 2)),
        "padding-1x1": Geometry(kernel=(1, 1), padding=(1, 1)),
        "groups-2": Geometry(kernel=(3, 3), padding=(1, 1), groups=2),
        "groups-4": Geometry(kernel=(3, 3), padding=(1, 1), groups=4),
    }
    for name, geometry in shapes.items():
        for pad in (-1, 0, 1):
            common = {"geometry": geometry, "size": (9, 8), "pad": pad, "channels": 44, "outputs": 12}
            yield f"{name}-pad{pad}", common
            yield (
                f"{name}-pad{pad}-whole",
                {**common, "whole_thresholds": True, "parts": "", "results": "bits"},
            )
    depth = Geometry(kernel=(3, 3), padding=(1, 1), groups=36)
    yield "depthwise", {"geometry": depth, "channels": 36, "outputs": 36}
    yield "depthwise-2", {"geometry": depth, "channels": 36, "outputs": 72}
    wide = Geometry(kernel=(3, 3), padding=(1, 1), groups=2)
    yield "groups-of-64", {"geometry": wide, "channels": 128, "outputs": 16}


def _codes() -> Iterator[Case]:
    codes = {
        "sign": SIGN,
        "ternary": TERNARY,
        "u1": UNSIGNED_1,
        "u2": UNSIGNED_2,
        "u3": UNSIGNED_3,
        "s2": SYMMETRIC_2,
    }
    for a_name, a in codes.items():
        for w_name, w in codes.items():
            for pad in (0, 1):
                arguments = {"source": a, "weight": w, "pad": pad, "channels": 35, "outputs": 6}
                yield f"codes-{a_name}-{w_name}-pad{pad}", arguments
        yield f"to-{a_name}", {"code": a, "outputs": 34}
        yield f"to-{a_name}-whole", {"code": a, "outputs": 34, "whole_thresholds": True, "parts": ""}


def _epilogues() -> Iterator[Case]:
    parts = (
        "",
        "scale",
        "input_scale",
        "bias",
        "classes",
        "norm",
        "residual",
        "scale input_scale classes norm residual",
    )
    for part in parts:
        for results in ("f32", "bits", "both"):
            yield (
                f"epilogue-{part.replace(' ', '-') or 'none'}-{results}",
                {"parts": part, "results": results},
            )
    for activation in ("relu", "hardtanh"):
        yield f"activation-{activation}", {"activation": activation}
        yield f"stream-{activation}", {"stream": activation}
    for results in ("bits", "both"):
        for flip in (False, True):
            arguments = {"results": results, "flip": flip, "whole_thresholds": True, "parts": ""}
            yield f"whole-{results}-flip{int(flip)}", arguments
    strided = Geometry(kernel=(3, 3), stride=(2, 2), padding=(2, 1), dilation=(2, 1))
    yield "classes-strided", {"parts": "classes", "geometry": strided, "size": (11, 8)}


def _pixels() -> Iterator[Case]:
    for channels in (1, 3, 5):
        for kind in ("int1", "int2", "int3", SIGN, TERNARY):
            for whole in (False, True):
                if whole and kind in ("int2", "int3"):
                    continue  # a float32 sum
                name = kind if isinstance(kind, str) else f"bits{len(kind.values)}"
                parts = "" if whole else "scale classes norm residual"
                arguments = {"source": "u8", "channels": channels, "weight": kind, "outputs": 20}
                yield (
                    f"pixels-{channels}-{name}-{int(whole)}",
                    {**arguments, "whole_thresholds": whole, "parts": parts},
                )
        gains = {"source": "u8", "channels": channels, "gain": True, "whole_thresholds": True, "parts": ""}
        yield f"pixels-{channels}-gain", gains
    stem = Geometry(kernel=(7, 7), stride=(2, 2), padding=(3, 3))
    yield "pixels-stem", {"source": "u8", "channels": 3, "weight": "int2", "geometry": stem, "size": (17, 14)}
    yield from _pixels_in_order(stem)
    dense = Geometry(kernel=(8, 7))
    yield "pixels-dense", {"source": "u8", "channels": 3, "weight": SIGN, "geometry": dense, "size": (8, 7)}
    grouped = Geometry(kernel=(3, 3), padding=(1, 1), groups=3)
    yield (
        "pixels-groups",
        {"source": "u8", "channels": 3, "weight": "int1", "geometry": grouped, "outputs": 6},
    )


def _pixels_in_order(stem: Geometry) -> Iterator[Case]:
    """float32 sums of pixels: kernels, strides, padding, groups, bits of one plane and of two."""
    given = {"source": "u8", "weight": "int3", "outputs": 20}
    for channels in (1, 3):
        small = {"channels": channels, "geometry": stem, "size": (17, 14)}
        yield f"pixels-order-{channels}-stem", {**given, **small}
        large = Geometry(kernel=(11, 11), stride=(4, 4), padding=(2, 2))
        fields = {"channels": channels, "geometry": large, "size": (40, 51), "results": "bits"}
        yield f"pixels-order-{channels}-large", {**given, **fields, "outputs": 80}
        whole = {"channels": channels, "geometry": Geometry(kernel=(8, 7)), "size": (8, 7)}
        yield f"pixels-order-{channels}-dense", {**given, **whole, "outputs": 70}
        codes = {"channels": channels, "code": UNSIGNED_2, "activation": "relu"}
        yield f"pixels-order-{channels}-codes", {**given, **codes}
    for groups in (2, 3):
        g = Geometry(kernel=(3, 2), stride=(1, 2), padding=(1, 1), dilation=(2, 1), groups=groups)
        yield f"pixels-order-groups-{groups}", {**given, "channels": 2 * groups, "geometry": g, "outputs": 18}


def _reals() -> Iterator[Case]:
    for kind in ("f32", "bf16", "int1", SIGN, TERNARY, UNSIGNED_2):
        name = kind if isinstance(kind, str) else f"bits{len(kind.values)}-{kind.offset}"
        for results in ("f32", "both"):
            arguments = {"source": "f32", "channels": 19, "weight": kind, "results": results}
            yield f"real-{name}-{results}", arguments
        grouped = Geometry(kernel=(3, 3), stride=(2, 1), padding=(1, 1), groups=4)
        yield f"real-{name}-groups", {"source": "f32", "channels": 20, "weight": kind, "geometry": grouped}
    dense = {
        "source": "f32",
        "size": (1, 1),
        "geometry": Geometry(kernel=(1, 1)),
        "channels": 515,
        "outputs": 10,
    }
    for kind in ("f32", "bf16", "int1"):
        yield f"real-{kind}-dense", {**dense, "weight": kind, "results": "f32", "parts": "bias"}


def _planes() -> Iterator[Case]:
    """Real factors on either side and on both, at the edges of words, blocks and windows."""
    one, two, three = (Planes(count=count) for count in (1, 2, 3))
    sides = {"sign": SIGN, "u2": UNSIGNED_2, "ternary": TERNARY, "p1": one, "p2": two, "p3": three}
    for a_name, a in {**sides, "d2": DIGITS_2}.items():
        for w_name, w in sides.items():
            if isinstance(a, Planes) or isinstance(w, Planes):
                arguments = {"source": a, "weight": w, "channels": 35, "outputs": 70, "code": two}
                yield f"planes-{a_name}-{w_name}", {**arguments, "pad": len(a_name + w_name) % 3 - 1}
    windows = {
        "stride": Geometry(kernel=(3, 2), stride=(2, 3), padding=(1, 0)),
        "dilation": Geometry(kernel=(3, 3), padding=(2, 2), dilation=(2, 2)),
        "groups": Geometry(kernel=(3, 3), padding=(1, 1), groups=4),
        "depthwise": Geometry(kernel=(3, 3), padding=(1, 1), groups=44),
        "dense": Geometry(kernel=(9, 8)),
    }
    for name, geometry in windows.items():
        for pad in (0, 1):
            common = {"geometry": geometry, "size": (9, 8), "pad": pad, "channels": 44, "outputs": 44}
            yield f"planes-{name}-pad{pad}", {**common, "source": two, "weight": three, "code": three}
    for channels, outputs in ((1, 1), (32, 16), (65, 65), (256, 130)):
        yield (
            f"planes-{channels}x{outputs}",
            {"channels": channels, "outputs": outputs, "source": two, "weight": two},
        )
    whole = {"code": Planes(count=8), "outputs": 70, "whole_thresholds": True, "parts": ""}
    yield "planes-whole", whole
    for count in (2, 3, 8):
        digits = {"code": Planes(count=count, digits=True), "outputs": 70}
        yield f"planes-digits-{count}", digits
        yield f"planes-digits-{count}-whole", {**digits, "whole_thresholds": True, "parts": ""}
    yield "planes-whole-pixels", {**whole, "source": "u8", "weight": "int1", "channels": 3}
    yield "planes-real", {"source": "f32", "weight": three, "channels": 19, "code": two}


def residual_net(seed: int = 0, channels: int = 24, outputs: int = 40) -> Made:
    """Two bits that come from one real stream, a shortcut that skips pixels, hardtanh in the branch, ReLU in
    the stream."""
    m = Maker(seed)
    x = m.value("f32", 8, 8, channels)
    signs = m.binarize(x)
    stride = Geometry(kernel=(3, 3), stride=(2, 2), padding=(1, 1))
    short = m.value("f32", 4, 4, outputs)
    m.steps.append(
        Subsample(layer="short", input=x, output=short, stride=(2, 2), before=(outputs - channels) // 2)
    )
    y, y_bits = m.value("f32", 4, 4, outputs), m.value("bits", 4, 4, outputs, SIGN)
    one = Epilogue(norm=(m.reals("1.a", outputs, scale=0.1), m.reals("1.b", outputs)), activation="hardtanh",
                   residual=short, stream="relu")  # fmt: skip
    w = m.weight("1", SIGN, outputs, stride, channels)
    rule = m.thresholds("1", SIGN, outputs, 0.5, exact=False, flip=True)
    m.steps.append(
        Conv(
            layer="1",
            input=signs,
            output=y,
            bits=y_bits,
            weight=w,
            geometry=stride,
            epilogue=one,
            thresholds=rule,
        )
    )
    z = m.value("f32", 4, 4, outputs)
    two = Epilogue(norm=(m.reals("2.a", outputs, scale=0.1), m.reals("2.b", outputs)), residual=y)
    w = m.weight("2", SIGN, outputs, SAME, outputs)
    m.steps.append(Conv(layer="2", input=y_bits, output=z, weight=w, geometry=SAME, pad=1, epilogue=two))
    z_bits = m.value("bits", 4, 4, outputs, UNSIGNED_2)
    rule = m.thresholds("3", UNSIGNED_2, outputs, 0.5, exact=False, flip=True)
    three = Epilogue(scale=m.reals("3.s", outputs), bias=m.reals("3.b", 1, outputs), activation="relu")
    m.steps.append(Map(layer="3", input=z, bits=z_bits, epilogue=three, thresholds=rule))
    return m.done(m.head(z, z_bits))


def grid() -> Iterator[tuple[str, Made]]:
    """Every case by name."""
    for name, arguments in conv_cases():
        yield name, single_conv(len(name), **arguments)
    yield from pool_programs()
    yield "residual-net", residual_net()
    yield from stream_programs()
