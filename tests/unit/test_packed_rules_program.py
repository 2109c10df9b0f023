"""The rules of the packed format for the program: types, graph, shapes, memory. Every mutant has right
digests."""

from __future__ import annotations

from typing import Any

import pytest

from bnn_train.packed import container, strict_json
from bnn_train.packed.errors import PackedFileError
from bnn_train.packed.graph import check_graph
from bnn_train.packed.inference import check_shapes
from bnn_train.packed.program import (
    Geometry,
    InputScale,
    Mean,
    Pool,
    Program,
    Subsample,
    Value,
)
from packed_damage import file_of, plain, put, rich, small, with_field

SMALL, RICH = small(), rich()


def refused(path: str, value: Any, match: str, made: Any = RICH) -> None:
    with pytest.raises(PackedFileError, match=match):
        container.unpack(with_field(made, path, value))


# RICH: 0 input, 1 map's bits, 2 K, 3 shortcut, 4 real, 5 bits, 6 mean, 7 logits;
# steps: 0 map, 1 input_scale, 2 short, 3 conv, 4 mean, 5 head


def test_the_files_themselves_are_accepted() -> None:
    for header, tensors in (SMALL, RICH):
        assert container.unpack(container.pack(header, tensors))[0] == header


@pytest.mark.parametrize("path", ["version", "images", "classes", "program", "made_by", "program.steps"])
def test_rule_3_a_missing_key(path: str) -> None:
    raw = plain(SMALL[0])
    *front, last = path.split(".")
    at = raw
    for key in front:
        at = at[key]
    del at[last]
    with pytest.raises(PackedFileError, match="required"):
        container.unpack(file_of(raw, SMALL[1]))


@pytest.mark.parametrize("path", ["more", "program.more", "program.steps.0.more", "images.more"])
def test_rule_3_an_unknown_key(path: str) -> None:
    refused(path, 1, "not permitted")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("version", True),
        ("version", "1"),
        ("version", 1.0),
        ("classes", "abc"),
        ("images.height", 4.0),
        ("program", []),
    ],
)
def test_rule_3_types_are_not_coerced(path: str, value: Any) -> None:
    refused(path, value, "the header's")


def test_rule_1_two_versions() -> None:
    refused("version", 2, "of version 2, its metadata of 1")


def test_rule_4_counts() -> None:
    raw = plain(SMALL[0])
    for key in ("steps", "values"):
        many = put(raw, f"program.{key}", raw["program"][key] * 2049)
        with pytest.raises(PackedFileError, match="at most 4096"):
            container.parse_header(strict_json.dump(many))
    refused("program.steps", [], "at least 1")


@pytest.mark.parametrize("name", ["", "a b", "../a", "ä", "x" * 129])
def test_rule_4_names(name: str) -> None:
    refused("program.steps.3.weight.tensor", name, "pattern")
    refused("program.steps.3.layer", name, "pattern")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("program.steps.3.op", "softmax"),
        ("program.steps.3.op", None),
        ("program.steps.3.weight.kind", "f16"),
        ("program.steps.3.epilogue.activation", "gelu"),
        ("program.values.1.type", "u16"),
        ("program.steps.3.pad", 2),
        ("images.preprocess.0.kind", "pca"),
    ],
)
def test_rule_5_kinds_are_from_the_table(path: str, value: Any) -> None:
    refused(path, value, "the header's")


@pytest.mark.parametrize("size", [0, -1, 2**24 + 1, 2**63, 2**64, 10**30])
def test_rule_6_sizes(size: int) -> None:
    refused("program.values.1.height", size, "the header's")
    refused("images.width", size, "the header's")


@pytest.mark.parametrize(
    ("path", "value", "match"),
    [
        ("program.steps.3.input", 8, "names value 8 of 8"),
        ("program.steps.3.input", -1, "the header's"),
        ("program.steps.3.input", 4096, "the header's"),
        ("program.steps.3.epilogue.residual", 9, "names value 9"),
        ("program.steps.3.epilogue.input_scale", 9, "names value 9"),
        ("program.output", 8, "no such value"),
        ("program.steps.0.input", 5, "before a step wrote it"),
        ("program.steps.3.epilogue.residual", 4, "before a step wrote it"),
        ("program.steps.4.output", 4, "written already"),
        ("program.steps.4.output", 0, "written already"),
        ("program.steps.3.output", 5, "written already"),
        ("program.steps.3.thresholds", None, "belong together"),
        ("program.steps.3.bits", None, "belong together"),
    ],
)
def test_rule_11_indices_and_order(path: str, value: Any, match: str) -> None:
    refused(path, value, match)


def test_rule_11_a_value_that_nothing_writes() -> None:
    raw = plain(RICH[0])
    raw["program"]["values"].append({"type": "f32", "height": 1, "width": 1, "channels": 1, "code": None})
    with pytest.raises(PackedFileError, match="value 8: no step writes it"):
        container.unpack(file_of(raw, RICH[1]))


def test_rule_11_a_step_that_writes_nothing() -> None:
    raw = put(plain(RICH[0]), "program.steps.0.bits", None)
    with pytest.raises(PackedFileError, match="writes no value"):
        container.unpack(file_of(put(raw, "program.steps.0.thresholds", None), RICH[1]))


@pytest.mark.parametrize(
    ("path", "value", "match"),
    [
        ("program.values.1.code", None, "belongs to bits"),
        ("program.values.4.code", {"offset": 0, "values": [1], "denominator": 1}, "belongs to bits"),
        ("program.values.4.type", "u8", "only the input"),
        ("program.values.1.code", {"offset": 0, "values": [1], "denominator": 2}, "not whole"),
        ("program.values.1.code", {"offset": 2, "values": [1, 2], "denominator": 2}, "not whole"),
        ("program.values.1.code.values", [], "at least 1"),
        ("program.values.1.code.values", [1] * 9, "at most 8"),
        ("program.steps.3.weight.code.denominator", 0, "greater than"),
        ("program.steps.3.weight.code.denominator", 7, "not whole"),
        ("program.steps.3.weight.gain", "short.scale", "gain is for u8"),
        ("program.steps.2.pad", 1, "is for bits"),
        ("program.steps.3.weight", {"kind": "f32", "tensor": "short.scale"}, "no product"),
        ("program.steps.3.weight", {"kind": "int", "tensor": "short.w"}, "no product"),
        ("program.steps.0.input", 1, "before a step wrote"),
        ("program.steps.1.input", 1, "must be f32"),
        ("program.steps.4.input", 5, "must be f32"),
    ],
)
def test_rule_12_types(path: str, value: Any, match: str) -> None:
    refused(path, value, match)


@pytest.mark.parametrize(
    ("path", "value", "match"),
    [
        ("program.values.4.height", 5, "its output is"),
        ("program.values.5.channels", 6, "its output is"),
        ("program.values.6.channels", 6, "its output is"),
        ("program.values.2.channels", 2, "its output is"),
        ("program.values.3.width", 5, "its output is"),
        ("program.steps.3.epilogue.residual", 0, "its residual is"),
        ("program.steps.3.epilogue.input_scale", 3, "its input scale is"),
        ("program.output", 0, "value 0, the input"),
        ("program.output", 4, "must be f32 1×1"),
        ("program.output", 5, "must be f32 1×1"),
        ("program.steps.3.geometry.kernel", [0, 3], "1 or more"),
        ("program.steps.3.geometry.stride", [1, 0], "1 or more"),
        ("program.steps.3.geometry.dilation", [0, 1], "1 or more"),
        ("program.steps.3.geometry.padding", [-1, 1], "0 or more"),
        ("program.steps.3.geometry.padding", [2**30, 1], "0 or more"),
        ("program.steps.3.geometry.padding", [17, 1], "padding is 17; its window allows at most 16"),
        ("program.steps.3.geometry.kernel", [7, 3], "does not fit"),
        ("program.steps.3.geometry.kernel", [3], "the header's"),
        ("program.steps.3.geometry.groups", 2, "do not divide"),
        ("program.steps.3.geometry.groups", 0, "the header's"),
        ("images.height", 5, "size of the images"),
        ("classes", ["a"], "class names"),
        ("images.preprocess", [], "u8 without preprocessing"),
    ],
)
def test_rule_12_shapes(path: str, value: Any, match: str) -> None:
    refused(path, value, match)


def program(value: Value, step: Any, result: Value) -> Program:
    """One step and a mean."""
    end = Value(type="f32", height=1, width=1, channels=result.channels)
    return Program(values=(value, result, end), steps=(step, Mean(layer="m", input=1, output=2)), output=2)


REAL = Value(type="f32", height=4, width=4, channels=3)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"geometry": Geometry(kernel=(2, 2), dilation=(5, 1), padding=(3, 0))}, "5 pixels apart"),
        ({"geometry": Geometry(kernel=(1, 1), padding=(1, 0))}, "padding is 1; its window allows at most 0"),
        ({"geometry": Geometry(kernel=(2, 1), padding=(2, 0))}, "padding is 2; its window allows at most 1"),
        ({"geometry": Geometry(kernel=(65, 1), padding=(31, 0))}, "65 rows; at most 64"),
        ({"geometry": Geometry(kernel=(1, 1), groups=3)}, "one group"),
        ({"geometry": Geometry(kernel=(1, 1)), "flip": "f"}, "flip is for bits"),
    ],
)
def test_rule_12_pools(fields: dict[str, Any], match: str) -> None:
    g = fields["geometry"]
    height = 4 + 2 * g.padding[0] - g.dilation[0] * (g.kernel[0] - 1)
    result = REAL.model_copy(update={"height": max(1, height), "width": 5 - g.kernel[1]})
    source = REAL if height > 0 else REAL.model_copy(update={"height": 5 - height})
    with pytest.raises(PackedFileError, match=match):
        check_shapes(program(source, Pool(layer="p", input=0, output=1, kind="max", **fields), result))


def test_rule_12_subsample_and_input_scale() -> None:
    half = REAL.model_copy(update={"height": 2, "width": 2})
    for fields, match in (
        ({"stride": (2, 2), "before": 1}, "do not fit"),
        ({"stride": (0, 2)}, "1 is the least"),
        ({"stride": (3, 1)}, "its output is"),
    ):
        with pytest.raises(PackedFileError, match=match):
            check_shapes(program(REAL, Subsample(layer="s", input=0, output=1, **fields), half))
    step = InputScale(layer="k", input=0, output=1, geometry=Geometry(kernel=(1, 1), groups=2))
    with pytest.raises(PackedFileError, match="do not divide"):
        check_shapes(program(REAL, step, REAL.model_copy(update={"channels": 2})))


def test_rule_11_the_input_is_no_bits() -> None:
    bits = SMALL[0].program.values[1]
    with pytest.raises(PackedFileError, match="not bits"):
        check_graph(program(bits, Mean(layer="m", input=0, output=1), REAL))
