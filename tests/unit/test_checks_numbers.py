"""Rules of methods that solve for weights or whose numbers are coarse."""

from __future__ import annotations

from typing import Any

import pytest

from bnn_train.config.checks import problems
from bnn_train.config.loader import from_mapping
from bnn_train.config.merge import merge

BASE: dict[str, Any] = {"model": {"name": "mlp"}, "data": {"name": "mnist"}}
BEGUN = {"init_from": "runs/digits/fp"}


def found(**sections: Any) -> dict[str, str]:
    return {".".join(map(str, path)): told for path, told in problems(from_mapping(merge(BASE, sections)))}


@pytest.mark.parametrize(
    ("sections", "key", "words"),
    [
        ({"method": "bwnh"}, "training.init_from", "solves for the weights of a trained network"),
        ({"method": "ternary_residual"}, "training.init_from", "is missing"),
        ({"method": "qcnn"}, "training.init_from", "is missing"),
        ({"method": "tsq"}, "training.init_from", "is missing"),
        ({"method": "bnn", "training": {"solve": {"images": 9}}}, "training.solve", "has no effect"),
        (
            {"method": {"name": "bwnh", "weight": {"pre": "center"}}, "training": BEGUN},
            "method.weight.pre",
            "solved for",
        ),
        ({"method": "fp", "training": {"epochs": 0}}, "training.epochs", "0 trains nothing"),
        (
            {"method": {"name": "tsq", "norm": {"affine": True}}, "training": BEGUN},
            "method.norm.affine",
            "must be false",
        ),
        (
            {"method": {"name": "bnn", "norm": {"affine": False, "kind": "shift"}}},
            "method.norm.affine",
            "shift",
        ),
        ({"method": {"name": "dorefa", "activation": {"pre": "measured"}}}, "method.activation.pre", "pact"),
        ({"method": "lowprec", "training": {"amp": "bf16"}}, "training.amp", "would round"),
        ({"method": "lowprec", "training": {"ema": 0.9}}, "training.ema", "cannot average"),
        ({"method": "qcnn", "training": {"ema": 0.9, **BEGUN}}, "training.ema", "cannot average"),
    ],
    ids=str,
)
def test_told(sections: dict[str, Any], key: str, words: str) -> None:
    assert words in found(**sections)[key]


def test_a_first_step_solves_for_nothing() -> None:
    weight = {"quantizer": "none", "scale": "none"}
    assert found(method={"name": "tsq", "weight": weight}) == {}
