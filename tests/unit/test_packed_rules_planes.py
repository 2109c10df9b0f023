"""Wrong files of version 2 are refused in a sentence: versions, planes, factors, thresholds."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from bnn_train.packed import container
from bnn_train.packed.errors import PackedFileError
from bnn_train.packed.program import VERSION, Planes, version_of
from packed_damage import file_of as damaged
from packed_damage import plain, put
from packed_programs import SIGN, UNSIGNED_2, Made, header_of, single_conv

P2, P3 = Planes(count=2), Planes(count=3)
MADE = single_conv(source=P2, weight=P3, code=P2, channels=8, outputs=4, parts="scale")
OLD = single_conv(source=SIGN, weight=SIGN, channels=8, outputs=4, parts="scale")
PIXELS = single_conv(source="u8", weight=SIGN, channels=8, outputs=4, parts="scale")
CONV = "program.steps.1"
CODE = {"offset": 0, "values": [1], "denominator": 1}


def file_of(raw: dict[str, Any], tensors: Any) -> bytes:
    """The file whose metadata tell the version that its header tells."""
    return damaged(raw, tensors, raw["version"])


def refused(content: bytes, match: str) -> None:
    with pytest.raises(PackedFileError, match=match):
        container.unpack(content)


def changed(made: Made, path: str, value: Any, version: int = 2) -> bytes:
    raw = put(put(plain(header_of(made)), path, value), "version", version)
    return file_of(raw, made.tensors)


def test_versions_of_programs() -> None:
    assert VERSION == 2
    assert [version_of(made.program) for made in (OLD, MADE)] == [1, 2]
    assert version_of(single_conv(weight=P2).program) == 2
    assert version_of(single_conv(code=P2, results="bits").program) == 2


def test_a_file_of_version_2() -> None:
    content = container.pack(header_of(MADE), MADE.tensors)
    header, tensors = container.unpack(content)
    assert header == header_of(MADE)
    assert header.program.values[1].code == P2
    assert container.pack(header, tensors) == content
    head = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert head["__metadata__"]["version"] == "2"


def test_a_program_without_planes_stays_of_version_1() -> None:
    header, _ = container.unpack(container.pack(header_of(OLD), OLD.tensors))
    assert header.version == 1
    text = json.dumps(plain(header))
    assert "factors" not in text
    assert "count" not in text


def test_planes_in_a_file_of_version_1() -> None:
    raw = put(plain(header_of(MADE)), "version", 1)
    refused(file_of(raw, MADE.tensors), "version is 1, but parts of its program came with 2")


def test_version_2_without_need() -> None:
    raw = put(plain(header_of(OLD)), "version", 2)
    refused(file_of(raw, OLD.tensors), "nothing in the program is newer than version 1")


def test_factors_that_are_told_to_be_absent() -> None:
    """One content has one spelling: an absent field is left out."""
    refused(changed(OLD, f"{CONV}.input_factors", None, 1), "in another form")
    refused(changed(OLD, f"{CONV}.weight.factors", None, 1), "in another form")


@pytest.mark.parametrize(
    ("path", "value", "match"),
    [
        ("program.values.1.code.count", 0, "greater than or equal to 1"),
        ("program.values.1.code.count", 9, "less than or equal to 8"),
        ("program.values.1.code.count", 2.0, "valid integer"),
        ("program.values.1.code", {"count": 2, "offset": 0}, "Extra inputs"),
        ("program.values.1.code", [2], "code"),
        ("program.values.1.code", {"count": 3}, "it must be float32 3×8"),
        ("program.values.1.code", CODE, "factors for the input's planes, but no planes"),
        ("program.values.0.code", {"count": 2}, "belongs to bits"),
        (f"{CONV}.weight.code", {"count": 2}, "must be uint8 2×4"),
        (f"{CONV}.weight.code", CODE, "factors for the weight's planes, but no planes"),
        (f"{CONV}.weight.factors", "none", "no tensor none"),
        (f"{CONV}.weight.factors", "conv.scale", "must be float32 3×4"),
        (f"{CONV}.weight.factors", 3, "valid string"),
        (f"{CONV}.input_factors", "conv.f", "must be float32 2"),
        (f"{CONV}.weight.gain", "conv.scale", "gain is for u8"),
    ],
)
def test_wrong_fields(path: str, value: Any, match: str) -> None:
    refused(changed(MADE, path, value), match)


@pytest.mark.parametrize(
    ("path", "match"),
    [(f"{CONV}.weight", "the weight's planes have no factors"), (CONV, "the input's planes have no factors")],
)
def test_missing_factors(path: str, match: str) -> None:
    raw = plain(header_of(MADE))
    at: Any = raw["program"]["steps"][1]
    at = at["weight"] if path.endswith("weight") else at
    at.pop("factors" if path.endswith("weight") else "input_factors")
    refused(file_of(raw, MADE.tensors), match)


def test_pixels_have_no_product_with_planes() -> None:
    raw = plain(header_of(PIXELS))
    raw["program"]["steps"][0]["weight"].update(code={"count": 1}, factors="conv.scale1")
    tensors = {**PIXELS.tensors, "conv.scale1": np.ones((1, 4), np.float32)}
    refused(file_of(put(raw, "version", 2), tensors), "u8 inputs have no product with planes")


@pytest.mark.parametrize("value", [np.nan, np.inf, 2e30])
@pytest.mark.parametrize("name", ["conv.f", "conv.g"])
def test_factors_that_are_no_reals(name: str, value: float) -> None:
    tensor = MADE.tensors[name].copy()
    tensor.reshape(-1)[-1] = value
    refused(file_of(plain(header_of(MADE)), {**MADE.tensors, name: tensor}), "beyond ±1e")


def test_whole_thresholds_of_a_product_with_factors() -> None:
    limits = np.rint(MADE.tensors["conv.t"]).astype(np.int32)
    refused(
        file_of(plain(header_of(MADE)), {**MADE.tensors, "conv.t": limits}), "int32 thresholds for a real"
    )


def test_the_count_of_thresholds() -> None:
    limits = np.concatenate([MADE.tensors["conv.t"]] * 2)[:3]
    refused(file_of(plain(header_of(MADE)), {**MADE.tensors, "conv.t": limits}), "must be float32 2×4")


def test_codes_of_several_planes_are_not_pooled() -> None:
    raw = plain(header_of(single_conv(source=UNSIGNED_2, channels=8, outputs=4, parts="scale")))
    at = raw["program"]
    at["values"].append(
        {"type": "bits", "height": 6, "width": 5, "channels": 8, "code": at["values"][1]["code"]}
    )
    step = {
        "op": "pool", "layer": "p", "input": 1, "output": len(at["values"]) - 1, "kind": "max", "ceil": False,
        "geometry": {"kernel": [1, 1], "stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1},
        "include_padding": True, "flip": None,
    }  # fmt: skip
    at["steps"].append(step)
    refused(file_of(raw, {}), "bits of a code or of digits are pooled with one plane only")
