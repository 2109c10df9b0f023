"""Rules around quantizers that have a gradient, a centre or a norm of their own, each with its sentence."""

from __future__ import annotations

from typing import Any

import pytest

from bnn_train.config.checks import problems
from bnn_train.config.loader import from_mapping
from bnn_train.config.merge import merge

BASE = {"method": "bnn", "model": "alexnet", "data": "mnist", "optimizer": "adam"}
ROUNDED = {"name": "dorefa", "bits": 4}
BITS = {"pre": "tanh_max", "quantizer": "signed_uniform", "scale": "none"}


def found(method: dict[str, Any]) -> dict[str, str]:
    told = problems(from_mapping(merge(BASE, {"method": method})))
    return {".".join(map(str, path)): sentence for path, sentence in told}


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ({"name": "ttq", "weight": {"gradient": "detached"}}, "weight.gradient", "a gradient of their own"),
        ({"name": "ttq", "weight": {"gain": "fan_in"}}, "weight.gain", "a gradient of their own"),
        ({"name": "ttq", "weight": {"scale": "l1"}}, "weight.scale", "twice"),
        ({"name": "dsq", "activation": {"estimator": "clip"}}, "activation.estimator", "use identity"),
        ({"name": "adabin", "weight": {"pre": "standardize"}}, "weight.pre", "use none"),
        ({"name": "adabin", "padding": 1}, "padding", "belongs to signs"),
        ({"name": "hwgq", "norm": {"affine": True}}, "norm.affine", "must be false"),
        ({"name": "hwgq", "norm": {"kind": "shift"}}, "norm.affine", "shift"),
        ({"name": "hwgq", "norm": {"gamma": "uniform"}}, "norm.gamma", "no effect"),
        ({"name": "hwgq", "activation": {"estimator": "clip"}}, "activation.estimator", "above 0"),
        ({"name": "hwgq", "activation": {"estimator": "unit"}}, "activation.estimator", "use another"),
        ({"name": "fp", "output_gradient": ROUNDED}, "output_gradient", "no effect"),
    ],
)
def test_it_is_told_at_its_key(method: dict[str, Any], path: str, words: str) -> None:
    told = found(method)
    assert set(told) == {f"method.{path}"}
    assert words in told[f"method.{path}"]


@pytest.mark.parametrize(
    "method",
    [
        {"name": "dorefa", "weight": BITS, "output_gradient": ROUNDED},
        {"name": "bc", "output_gradient": ROUNDED},
        {"name": "hwgq", "activation": {"estimator": "identity"}},
        {"name": "ttq", "activation": {"quantizer": "sign"}},
        {"name": "adabin", "activation": {"quantizer": {"center": "paper"}}},
        {"name": "dsq", "activation": {"quantizer": {"bits": 2}}},
        {"name": "bnn", "norm": {"affine": False}},
    ],
)
def test_what_can_work_passes(method: dict[str, Any]) -> None:
    assert found(method) == {}
