"""The rules of the packed format for what stands in the tensors, and for the preprocessing. Every mutant has
right digests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bnn_train.packed import container
from bnn_train.packed.errors import PackedFileError
from bnn_train.packed.program import Epilogue, Preprocess
from bnn_train.packed.validate import check
from packed_damage import file_of, plain, put, rich, small, with_field, with_tensor
from packed_programs import header_of, single_conv

SMALL, RICH = small(), rich()
Change = Callable[[Any], Any]


def set_first(value: Any) -> Change:
    def change(tensor: Any) -> Any:
        tensor.reshape(-1)[0] = value
        return tensor

    return change


def refused(content: bytes, match: str) -> None:
    with pytest.raises(PackedFileError, match=match):
        container.unpack(content)


def test_rule_9_unused_bits() -> None:
    for bit in range(3, 8):  # 3·3·3 = 27 bits of a filter: 3 in the last byte

        def used(w: np.ndarray, bit: int = bit) -> np.ndarray:
            return w | (w * 0 + [0, 0, 0, 1 << bit]).astype(np.uint8)

        refused(with_tensor(RICH, "conv.w", used), "unused")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.1e30, -1.1e30])
@pytest.mark.parametrize(
    "name", ["conv.scale", "conv.bias", "conv.norm_a", "conv.norm_b", "pre.mean", "pre.std"]
)
def test_rule_10_reals(name: str, value: float) -> None:
    refused(with_tensor(RICH, name, set_first(value)), "NaN, infinity or a number beyond|not above 0")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_rule_10_real_thresholds(value: float) -> None:
    refused(with_tensor(RICH, "conv.t", set_first(value)), "NaN, infinity")


def test_rule_10_a_real_threshold_may_be_the_largest_number() -> None:
    for value in (np.finfo(np.float32).max, np.finfo(np.float32).min):
        container.unpack(with_tensor(RICH, "conv.t", set_first(value)))


@pytest.mark.parametrize("kind", ["f32", "bf16"])
def test_rule_10_real_weights(kind: str) -> None:
    made = single_conv(source="f32", channels=3, weight=kind)
    pair = (header_of(made), made.tensors)
    container.unpack(container.pack(*pair))
    bad = np.inf if kind == "f32" else 0x7FC0  # the upper half of NaN
    refused(with_tensor(pair, "conv.w", set_first(bad)), "NaN, infinity")


def test_rule_10_whole_thresholds() -> None:
    # sum of |digit| of a filter, times 255
    digits = SMALL[1]["conv.w"].astype(np.int64)
    bound = 255 * int(np.abs(digits[0]).reshape(5, -1).sum(axis=1).max())
    for value in (bound + 1, -bound - 1):
        container.unpack(with_tensor(SMALL, "conv.t", set_first(value)))
    for value in (bound + 2, -bound - 2):
        refused(with_tensor(SMALL, "conv.t", set_first(value)), "are allowed")


def test_rule_10_whole_thresholds_of_bits() -> None:
    made = single_conv(channels=3, parts="", whole_thresholds=True)  # 27 signs
    pair = (header_of(made), made.tensors)
    container.unpack(with_tensor(pair, "conv.t", set_first(28)))
    refused(with_tensor(pair, "conv.t", set_first(29)), "it holds 29; -28 to 28 are allowed")
    refused(with_tensor(pair, "conv.t", set_first(-29)), "it holds -29")


def test_rule_10_flips_and_gains() -> None:
    refused(with_tensor(SMALL, "conv.flip", set_first(2)), "0 to 1 are allowed")
    made = single_conv(source="u8", channels=3, gain=True, parts="", whole_thresholds=True)
    for value in (0, -1, 2**23):
        refused(with_tensor((header_of(made), made.tensors), "conv.gain", set_first(value)), "1 to 8388607")


def test_rule_10_whole_thresholds_exclude_an_epilogue_and_a_real_product() -> None:
    refused(with_field(SMALL, "program.steps.0.epilogue.activation", "relu"), "they exclude each other")
    made = single_conv(source="f32", channels=3, weight="f32", parts="", whole_thresholds=True)
    with pytest.raises(PackedFileError, match="int32 thresholds for a real product"):
        check(header_of(made), made.tensors)


def test_rule_10_sums_fit_their_type() -> None:
    made = single_conv(source="f32", size=(1, 1), channels=150_000, parts="", weight="int1")
    full = {**made.tensors, "conv.w": np.full_like(made.tensors["conv.w"], 127)}
    with pytest.raises(PackedFileError, match="leave 32 bits"):
        check(header_of(made), full)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("conv.w", lambda t: t[:, :-1]),
        ("conv.w", lambda t: t.view(np.int8)),
        ("conv.scale", lambda t: t[:-1]),
        ("conv.scale", lambda t: t[None]),
        ("conv.bias", lambda t: t[:-1]),
        ("conv.t", lambda t: np.concatenate([t, t])),
        ("conv.t", lambda t: t.view(np.uint8)),
        ("short.w", lambda t: np.concatenate([t, t])),
        ("pre.mean", lambda t: t[:1]),
    ],
)
def test_rule_12_types_and_shapes_of_tensors(name: str, change: Change) -> None:
    refused(with_tensor(RICH, name, change), f"tensor {name} is .*; it must be")


def test_rule_12_four_digits() -> None:
    made = single_conv(source="u8", channels=3, weight="int2", parts="", results="f32")
    real = header_of(made), made.tensors
    refused(with_tensor(real, "conv.w", lambda t: np.concatenate([t, t])), "it must be int8 3×")


def test_rule_11_tensors_missing_and_unused() -> None:
    header, tensors = RICH
    refused(file_of(plain(header), {**tensors, "more": tensors["conv.w"]}), "tensor more: no step uses it")
    refused(file_of(plain(header), {k: t for k, t in tensors.items() if k != "conv.t"}), "no tensor conv.t")
    refused(with_field(RICH, "program.steps.3.epilogue.scale", "missing"), "no tensor missing")


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"kind": "gcn", "options": {"scale": 55.0, "norm": "l2", "bias": 0.0}}, None),
        ({"kind": "gcn", "options": {"scale": 55, "norm": "std", "bias": 10}}, None),
        ({"kind": "lcn", "options": {"kernel": 7, "threshold": 1e-4}}, None),
        ({"kind": "gcn", "options": {"scale": 55.0, "norm": "l2"}}, "bias is missing"),
        ({"kind": "gcn", "options": {"scale": 0.0, "norm": "l2", "bias": 0.0}}, "scale is 0.0"),
        ({"kind": "gcn", "options": {"scale": 1.0, "norm": "l3", "bias": 0.0}}, "l2 or std"),
        ({"kind": "gcn", "options": {"scale": 1.0, "norm": "l2", "bias": -1.0}}, "bias is -1.0"),
        ({"kind": "gcn", "options": {"scale": 1.0, "norm": "l2", "bias": 1e300}}, "bias is 1e"),
        ({"kind": "gcn", "options": {"scale": "1", "norm": "l2", "bias": 0.0}}, "scale is '1'"),
        ({"kind": "lcn", "options": {"kernel": 4, "threshold": 1e-4}}, "odd"),
        ({"kind": "lcn", "options": {"kernel": 7.0, "threshold": 1e-4}}, "odd"),
        ({"kind": "lcn", "options": {"kernel": 10**9 + 1, "threshold": 1e-4}}, "odd"),
        ({"kind": "signed", "options": {"scale": 1.0}}, "no option"),
        ({"kind": "pixel_mean"}, "its tensors must be mean"),
        ({"kind": "scale01", "tensors": {"mean": "pre.mean"}}, "its tensors must be none"),
    ],
)
def test_rule_12_preprocessing(fields: dict[str, Any], match: str | None) -> None:
    header, tensors = RICH
    steps = (*header.images.preprocess, Preprocess(**fields))
    changed = header.model_copy(update={"images": header.images.model_copy(update={"preprocess": steps})})
    if match is None:
        check(changed, tensors)
        return
    with pytest.raises(PackedFileError, match=match):
        check(changed, tensors)


def test_rule_10_a_deviation_of_zero() -> None:
    refused(with_tensor(RICH, "pre.std", set_first(0.0)), "not above 0")


@pytest.mark.parametrize("resize", [0, -1, 5000, 2**40])
def test_rule_13_resizing_is_bounded(resize: int) -> None:
    refused(file_of(put(plain(SMALL[0]), "images.resize", resize), SMALL[1]), "resized to")


def test_the_writer_refuses_what_the_reader_would() -> None:
    header, tensors = RICH
    with pytest.raises(PackedFileError, match="no tensor"):
        container.pack(header, {})
    with pytest.raises(PackedFileError, match="it must be float32"):
        container.pack(header, {**tensors, "conv.scale": tensors["conv.scale"].astype(np.float64)})
    assert RICH[0].program.steps[3].epilogue != Epilogue()  # type: ignore[union-attr]
