"""Small random programs with their tensors, for comparing engines with the reference and for files to
damage."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed import bits
from bnn_train.packed.engine import DTYPES, value_shape
from bnn_train.packed.operands import threshold_count
from bnn_train.packed.program import (
    AnyCode,
    BitWeight,
    Code,
    Conv,
    Epilogue,
    Geometry,
    Header,
    Images,
    InputScale,
    IntWeight,
    Map,
    Mean,
    Planes,
    Preprocess,
    Program,
    RealWeight,
    Step,
    Thresholds,
    Value,
    Weight,
    version_of,
)
from bnn_train.packed.shapes import border_classes, output_size
from packed_bends import bend, gate

Array = NDArray[Any]
SIGN = Code()
TERNARY = Code(offset=0, values=(1, 1), denominator=2)
UNSIGNED_1 = Code(offset=1, values=(1,), denominator=2)
UNSIGNED_2 = Code(offset=3, values=(1, 2), denominator=2)
UNSIGNED_3 = Code(offset=7, values=(1, 2, 4), denominator=2)
SYMMETRIC_2 = Code(offset=0, values=(1, 2), denominator=1)
CLASSES = 3


class Made(NamedTuple):
    """A program, its tensors, and whether engines must agree bit for bit (no real sum of open order)."""

    program: Program
    tensors: dict[str, Array]
    exact: bool = True


class Maker:
    """Values, steps and tensors while a program grows."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.values: list[Value] = []
        self.steps: list[Step] = []
        self.tensors: dict[str, Array] = {}

    def value(self, kind: Any, height: int, width: int, channels: int, code: AnyCode | None = None) -> int:
        self.values.append(Value(type=kind, height=height, width=width, channels=channels, code=code))
        return len(self.values) - 1

    def tensor(self, name: str, array: Array, dtype: Any) -> str:
        self.tensors[name] = np.ascontiguousarray(array, dtype=dtype)
        return name

    def reals(self, name: str, *shape: int, scale: float = 1.0) -> str:
        return self.tensor(name, self.rng.standard_normal(shape) * scale, np.float32)

    def thresholds(
        self, name: str, code: AnyCode, channels: int, spread: float, exact: bool, flip: bool
    ) -> Thresholds:
        limits = self.rng.standard_normal((threshold_count(code), channels)) * spread
        self.tensor(f"{name}.t", np.rint(limits) if exact else limits, np.int32 if exact else np.float32)
        if not flip:
            return Thresholds(tensor=f"{name}.t")
        flips = self.tensor(f"{name}.flip", self.rng.integers(0, 2, channels), np.uint8)
        return Thresholds(tensor=f"{name}.t", flip=flips)

    def binarize(self, source: int, code: AnyCode = SIGN) -> int:
        """A ``map`` from reals to bits."""
        v, name = self.values[source], f"map{len(self.steps)}"
        result = self.value("bits", v.height, v.width, v.channels, code)
        rule = self.thresholds(name, code, v.channels, 0.5, exact=False, flip=False)
        self.steps.append(Map(layer=name, input=source, bits=result, thresholds=rule))
        return result

    def weight(self, name: str, kind: str | AnyCode, outputs: int, geometry: Geometry, inner: int) -> Weight:
        """Random weights. ``kind``: a code, ``int1`` to ``int3``, ``f32``, ``bf16``."""
        shape = (outputs, *geometry.kernel, inner)
        if isinstance(kind, Planes):
            negative = self.rng.random((kind.count, *shape)) < 0.5
            return BitWeight(
                tensor=self.tensor(f"{name}.w", bits.pack_planes(negative), np.uint8),
                code=kind,
                factors=self.reals(f"{name}.f", kind.count, outputs),
            )
        if isinstance(kind, Code):
            codes = self.rng.choice(bits.code_numbers(kind), shape)
            return BitWeight(
                tensor=self.tensor(f"{name}.w", bits.pack_filters(codes, kind), np.uint8), code=kind
            )
        if kind.startswith("int"):
            digits = self.rng.integers(-128, 128, (int(kind[3:]), *shape))
            return IntWeight(tensor=self.tensor(f"{name}.w", digits, np.int8))
        reals = self.rng.standard_normal(shape).astype(np.float32)
        if kind == "f32":
            return RealWeight(kind="f32", tensor=self.tensor(f"{name}.w", reals, np.float32))
        upper = reals.view(np.uint32) >> 16
        return RealWeight(kind="bf16", tensor=self.tensor(f"{name}.w", upper, np.uint16))

    def input_factors(self, name: str, source: int) -> str | None:
        """Random factors where a value has planes."""
        code = self.values[source].code
        return self.reals(f"{name}.g", code.count) if isinstance(code, Planes) else None

    def head(self, real: int | None, signs: int | None) -> int:
        """Logits that depend on every value given: the mean of a real map and a dense layer on the bits."""
        mean = None
        if real is not None:
            v = self.values[real]
            mean = self.value("f32", 1, 1, v.channels)
            self.steps.append(Mean(layer="mean", input=real, output=mean))
        if signs is None:
            return 0 if mean is None else mean
        v = self.values[signs]
        outputs = CLASSES if real is None else v.channels
        geometry = Geometry(kernel=(v.height, v.width))
        weight = self.weight("head", SIGN, outputs, geometry, v.channels)
        result = self.value("f32", 1, 1, outputs)
        epilogue = Epilogue(
            norm=(self.reals("head.a", outputs), self.reals("head.b", outputs)), residual=mean
        )
        step = Conv(
            layer="head", input=signs, output=result, weight=weight, geometry=geometry, epilogue=epilogue,
            input_factors=self.input_factors("head", signs),
        )  # fmt: skip
        self.steps.append(step)
        return result

    def done(self, output: int, exact: bool = True) -> Made:
        program = Program(values=tuple(self.values), steps=tuple(self.steps), output=output)
        return Made(program, self.tensors, exact)


def single_conv(
    seed: int = 0,
    *,
    source: str | AnyCode = SIGN,
    size: tuple[int, int] = (6, 5),
    channels: int = 32,
    outputs: int = 8,
    geometry: Geometry = Geometry(kernel=(3, 3), padding=(1, 1)),  # noqa: B008  # frozen
    weight: str | AnyCode = SIGN,
    gain: bool = False,
    pad: int = 0,
    results: str = "both",
    code: AnyCode = SIGN,
    whole_thresholds: bool = False,
    flip: bool = True,
    parts: str = "scale input_scale bias norm residual",
    activation: Any = "none",
    stream: Any = "none",
) -> Made:
    """One convolution between an input and a head.

    ``source``: ``u8``, ``f32``, or a code, for bits that a ``map`` makes of the real input. ``results``:
    ``f32``, ``bits`` or ``both``. ``parts``: lines of the epilogue; ``classes`` among them: a bias row for
    each border class. Without an epilogue thresholds may be whole.
    """
    m = Maker(seed)
    x = given = m.value("u8" if source == "u8" else "f32", *size, channels)
    if not isinstance(source, str):
        x = m.binarize(given, source)
    out = output_size(geometry, *size)
    w = m.weight("conv", weight, outputs, geometry, channels // geometry.groups)
    if gain and isinstance(w, BitWeight):
        factors = m.rng.integers(1, 2000, channels // geometry.groups)
        w = w.model_copy(update={"gain": m.tensor("conv.gain", factors, np.int32)})
    epilogue = _epilogue(m, parts.split(), given, geometry, out, outputs)
    bends = {
        "activation": bend(m, "conv.a", activation, outputs),
        "stream": bend(m, "conv.s", stream, outputs),
    }
    epilogue = epilogue.model_copy(update=bends)
    real = m.value("f32", *out, outputs) if results != "bits" else None
    signs = m.value("bits", *out, outputs, code) if results != "f32" else None
    rule = None
    if signs is not None:
        spread = _spread(m, w, geometry, channels, source) if whole_thresholds or not parts else 3.0
        rule = m.thresholds("conv", code, outputs, spread, exact=whole_thresholds, flip=flip)
    step = Conv(
        layer="conv", input=x, output=real, bits=signs, weight=w, geometry=geometry, pad=pad,
        epilogue=epilogue, thresholds=rule,
        input_factors=m.input_factors("conv", x),
    )  # fmt: skip
    m.steps.append(step)
    open_order = source == "f32" and not str(weight).startswith("int")
    return m.done(m.head(real, signs), exact=not open_order)


def _spread(m: Maker, w: Weight, geometry: Geometry, channels: int, source: str | AnyCode) -> float:
    """About the size of a product, so that thresholds divide it; never beyond what the format allows."""
    count = geometry.kernel[0] * geometry.kernel[1] * channels // geometry.groups
    if not isinstance(source, str):
        return max(0.2, 0.2 * math.sqrt(count))
    gains = m.tensors["conv.gain"].max() if isinstance(w, BitWeight) and w.gain else 1
    return float(gains) * 20 * math.sqrt(count)


def _epilogue(
    m: Maker, parts: list[str], given: int, geometry: Geometry, out: tuple[int, int], outputs: int
) -> Epilogue:
    v = m.values[given]
    fields: dict[str, Any] = {}
    if "scale" in parts:
        fields["scale"] = m.reals("conv.scale", outputs, scale=0.1)
    if "input_scale" in parts and v.type == "f32":
        fields["input_scale"] = m.value("f32", *out, geometry.groups)
        step = InputScale(layer="k", input=given, output=fields["input_scale"], geometry=geometry)
        m.steps.append(step)
    if "bias" in parts:
        fields["bias"] = m.reals("conv.bias", 1, outputs)
    if "classes" in parts:
        *_, rows, columns = border_classes(geometry, v.height, v.width)
        fields["bias"] = m.reals("conv.bias", rows * columns, outputs, scale=3.0)
    if "gate" in parts:
        fields["gate"] = gate(m, given, outputs)
    if "norm" in parts:
        fields["norm"] = (m.reals("conv.norm_a", outputs), m.reals("conv.norm_b", outputs))
    if "residual" in parts:
        fields["residual"] = m.value("f32", *out, outputs)
        inner = v.channels // geometry.groups
        w = m.weight("short", "int1", outputs, geometry, inner)
        scale = Epilogue(scale=m.reals("short.scale", outputs, scale=1e-3))
        m.steps.append(
            Conv(
                layer="short",
                input=given,
                output=fields["residual"],
                weight=w,
                geometry=geometry,
                epilogue=scale,
            )
        )
    return Epilogue(**fields)


def header_of(made: Made) -> Header:
    """A header for the program; a real input gets a preprocessing, as the format demands."""
    v, count = made.program.values[0], made.program.values[made.program.output].channels
    steps = (Preprocess(kind="scale01"),) if v.type == "f32" else ()
    return Header(
        version=version_of(made.program),
        images=Images(height=v.height, width=v.width, channels=v.channels, preprocess=steps),
        classes=tuple(f"class {i}" for i in range(count)),
        method="bnn",
        model="test",
        program=made.program,
        experiment={},
        made_by="tests",
    )


def random_input(program: Program, count: int = 2, seed: int = 0, special: bool = False) -> Array:
    """Value 0 for ``count`` images. ``special``: some −0.0, NaN, ∞ and tiny numbers among real ones."""
    rng, value = np.random.default_rng(seed), program.values[0]
    shape = (count, *value_shape(value))
    if value.type == "u8":
        return rng.integers(0, 256, shape, dtype=np.uint8)
    x = rng.standard_normal(shape).astype(DTYPES["f32"])
    if special:
        odd = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, -1e-45], np.float32)
        where = rng.random(shape) < 0.2
        x[where] = rng.choice(odd, int(where.sum()))
    return x
