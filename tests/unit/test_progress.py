"""FleBin's layers and INQ's fractions: which weights are quantized when, against the papers' rules."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bnn_train.binary.latent import enforce, number
from bnn_train.binary.layers import BinaryLayer, BinaryLinear, binary_layers
from bnn_train.binary.placed import place
from bnn_train.binary.progress import ByFraction as Freezer
from bnn_train.binary.quantizers import quantizer
from bnn_train.binary.scales import SCALES
from bnn_train.config.checks import problems
from bnn_train.config.loader import from_mapping
from bnn_train.config.merge import merge
from bnn_train.errors import ConfigError, ExportError
from bnn_train.export.lower import lower
from bnn_train.export.trace import trace
from bnn_train.packed.bits import code_numbers
from bnn_train.spec.annealed import END, Position
from bnn_train.spec.method import Method
from bnn_train.spec.methods import METHODS
from bnn_train.spec.progress import ByFraction, ByLayer
from bnn_train.spec.quantizers import Powers
from bnn_train.spec.scales import MaxPow2


def level(w: float, bits: int, top: float) -> float:
    """INQ's interval rule, equation 4, level by level."""
    largest = math.floor(math.log2(4 * top / 3))
    levels = [0.0] + [2.0 ** (largest - i) for i in reversed(range(2 ** (bits - 2)))]
    for below, beta in pairwise(levels):
        if (below + beta) / 2 <= abs(w) < 3 * beta / 2:
            return math.copysign(beta, w)
    return 0.0


def powers(values: list[float], bits: int) -> tuple[Any, Any]:
    """ŵ and codes of a filter."""
    w = torch.tensor([values], dtype=torch.float64)
    codes = quantizer(Powers(bits=bits)).codes(w, (0, 1), drawn=False)
    alpha = SCALES.build(MaxPow2(), w, (0, 1)).find(w, codes, (0, 1))
    assert alpha is not None
    return (codes * alpha).numpy()[0], codes


def test_golden_levels() -> None:
    five, _ = powers([0.76, 0.74, 0.375, 0.37, 0.19, 0.1, 0.05, -0.6, 0.004, 0.0035], 5)
    assert five.tolist() == [1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.0625, -0.5, 0.0078125, 0]
    three, _ = powers([1.0, 0.74, 0.5, 0.37, 0.19], 3)
    assert three.tolist() == [1, 0.5, 0.5, 0.5, 0]
    two, codes = powers([1.0, -0.49, 0.5, -0.7, -0.0, 0.0], 2)
    assert two.tolist() == [1, 0, 0.5 * 2, -1, 0, 0]
    assert set(codes.flatten().tolist()) == {-1.0, 0.0, 1.0}


@pytest.mark.parametrize("bits", [2, 3, 4, 5])
def test_levels_are_the_papers(bits: int) -> None:
    drawn = np.random.default_rng(bits).normal(size=400) * 0.3
    ties = [1.1, -1.1, 0.0, *(k * 2.0**-p for p in range(9) for k in (0.75, -0.75, 1.0, 1.5))]
    values = [*drawn.tolist(), *(v for v in ties if abs(v) <= 1.1)]
    found, codes = powers(values, bits)
    np.testing.assert_array_equal(found, [level(v, bits, max(map(abs, values))) for v in values])
    if bits < 5:
        assert set(codes.flatten().tolist()) <= set(code_numbers(quantizer(Powers(bits=bits)).code).tolist())
    assert bool(quantizer(Powers(bits=bits)).refusal) is (bits == 5)


def test_no_weights_at_all() -> None:
    found, _ = powers([0.0, -0.0], 3)
    assert found.tolist() == [0, 0]


def network(row: Method, count: int = 4) -> nn.Sequential:
    torch.manual_seed(0)
    made = nn.Sequential(*(BinaryLinear(6, 6, method=row, role="body") for _ in range(count)))
    number(made)
    return made


def waiting(model: nn.Module) -> list[bool]:
    return [layer.reads_latent for _, layer in binary_layers(model)]


@pytest.mark.parametrize("stop_after", [None, 1, 3])
def test_the_deepest_layer_is_quantized_first(stop_after: int | None) -> None:
    progress = ByLayer(stop_after=stop_after)
    row = METHODS["flebin"]
    row = row.model_copy(update={"weight": row.weight.model_copy(update={"progress": progress})})
    model = network(row)
    for epoch in range(11):
        place(model, Position(epoch=epoch, epochs=10))
        due = min(math.ceil(min(1.25 * epoch / 10, 1) * 4), stop_after or 4)
        assert waiting(model) == [True] * (4 - due) + [False] * due
    place(model, END)
    assert sum(waiting(model)) == 4 - (stop_after or 4)


def test_a_layer_that_waits_is_its_real_parent() -> None:
    model = network(METHODS["flebin"], 1)
    place(model, Position(epochs=10))
    layer, x = model[0], torch.randn(3, 6)
    assert isinstance(layer, BinaryLayer)
    assert torch.equal(model(x), nn.functional.linear(x, layer.weight, layer.bias))
    model(x).sum().backward()
    assert layer.weight.grad is not None
    assert torch.equal(layer.weight.grad, x.sum(dim=0).expand(6, 6))


def stages_of(progress: ByFraction, epochs: int) -> list[int]:
    return [progress.stage_at(Position(epoch=epoch, epochs=epochs)) for epoch in range(epochs)]


def test_stages_begin_where_they_are_told() -> None:
    progress = ByFraction(shares=(0.5, 1.0), starts=(0.2, 0.75))
    assert stages_of(progress, 8) == [0, 1, 1, 1, 1, 1, 2, 2]
    begins = [step / 4 for step in range(32) if progress.begins(Position(epoch=step / 4, epochs=8))]
    assert begins == [1, 6]
    assert ByFraction(shares=(1.0,), starts=(0.0,)).begins(Position())
    assert not progress.begins(END)


def test_the_largest_weights_freeze_and_stay() -> None:
    row = METHODS["inq"]
    layer = BinaryLinear(20, 10, method=row, role="body")
    progress, w = layer.weight_quantizer.progress if layer.weight_quantizer else None, layer.weight
    assert isinstance(progress, Freezer)
    with torch.no_grad():
        for epoch in range(8):
            before = w.clone()
            place(layer, Position(step=epoch, epoch=epoch, epochs=8))
            share, frozen = row.weight.progress.share_at(progress.position), progress.frozen.clone()
            w.add_(0.05 * torch.randn(w.shape))  # an optimizer's step
            moved = w.clone()
            enforce(layer)
            assert int(progress.frozen.sum()) == math.ceil(share * 200)
            assert bool(progress.frozen[frozen].all())
            if share < 1:
                assert torch.equal(w[frozen], before[frozen])
            assert torch.equal(w[~progress.frozen], moved[~progress.frozen])
            joined = progress.frozen & ~frozen
            if joined.any() and share < 1:
                top = float(moved.abs().max())
                assert w[joined].tolist() == [level(v, 5, top) for v in moved[joined].tolist()]
                if (~progress.frozen).any():
                    assert moved[joined].abs().min() >= moved[~progress.frozen].abs().max()
    place(layer, END)
    assert torch.equal(layer.codes().value, w)


def test_two_bits_pack_and_five_are_refused() -> None:
    row = METHODS["inq"]
    small = row.model_copy(update={"weight": row.weight.model_copy(update={"quantizer": Powers(bits=2)})})
    first, last = nn.Linear(64, 8), nn.Linear(8, 3)
    for method in (small, row):
        body = BinaryLinear(8, 8, method=method, role="body")
        model = nn.Sequential(nn.Flatten(), first, body, last)
        trace(model, (1, 8, 8))
        if method is row:
            with pytest.raises(ExportError, match=r"^2: its weights are powers of two from 1 to 128 units"):
                lower(model, (1, 8, 8))
        else:
            assert lower(model, (1, 8, 8)).program.steps


BASE = {"method": "inq", "model": "mlp", "data": "digits"}


def found(**sections: Any) -> dict[str, str]:
    return {".".join(map(str, path)): told for path, told in problems(from_mapping(merge(BASE, sections)))}


@pytest.mark.parametrize(
    ("sections", "path", "told"),
    [
        ({"training": {"ema": 0.9}}, "training.ema", "averages weights from before and after"),
        ({"method": {"weight": {"pre": "center"}}}, "method.weight.pre", "would move weights"),
        ({"method": {"weight": {"scale": "l1"}}}, "method.weight.scale", "does not fit powers"),
        ({"method": {"weight": {"scale": "l1_masked"}}}, "method.weight.scale", "does not fit powers"),
        (
            {"method": {"weight": {"scale": "learned", "quantizer": "ternary"}}},
            "method.weight.scale",
            "would move weights",
        ),
        ({"method": {"weight": {"quantizer": "sign"}}}, "method.weight.scale", "belongs to powers"),
        ({"method": {"weight": {"quantizer": "none"}}}, "method.weight.progress", "has no effect"),
        ({"method": {"weight": {"evaluate": "latent"}}}, "method.weight.progress", "evaluations of latent"),
    ],
)
def test_refusals(sections: dict[str, Any], path: str, told: str) -> None:
    assert told in found(**sections)[path]


def test_shares_and_starts_belong_together() -> None:
    for keys in ({"shares": [0.5, 1.0]}, {"shares": [0.9, 0.5, 0.7, 1.0]}, {"starts": [0.5, 0.2, 0.7, 0.9]}):
        with pytest.raises(ConfigError, match="rise"):
            found(method={"weight": {"progress": {"name": "by_fraction", **keys}}})
