"""Fixed point with a shared exponent against numpy, and the zoo's values (arXiv 1412.7024)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bnn_train.binary.fixed_point import Grid, hold
from bnn_train.binary.latent import enforce
from bnn_train.binary.layers import BinaryLinear
from bnn_train.errors import ExportError, Interrupted
from bnn_train.export.rounding import _refuse
from bnn_train.spec.method import Method
from bnn_train.spec.methods import METHODS
from bnn_train.spec.scalars import Shared
from bnn_train.training import run
from bnn_train.training.run import resume, start
from same_run import assert_same_run
from stopping import StopAfter
from tiny import tiny


def test_nine_bits_of_32() -> None:
    """Step 1/16, to 31.9375, halves away from 0."""
    x = torch.tensor([0.03, 0.031251, 0.03125, -0.09375, 40, -40, -0.0, np.inf, np.nan])
    found = Grid(Shared(bits=9, exponent=5)).quantized(x)
    expected = [0, 0.0625, 0.0625, -0.125, 31.9375, -31.9375, 0, 31.9375, np.nan]
    np.testing.assert_array_equal(found.numpy(), np.array(expected, np.float32))


def test_31_bits_are_float() -> None:
    x = torch.randn(1000, dtype=torch.float64)
    torch.testing.assert_close(Grid(Shared(bits=31, exponent=3)).quantized(x), x, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("begin", "end"), [(1, 2), (2, 3), (3, 3), (4, 3)])
def test_the_range_follows_the_overflow(begin: int, end: int) -> None:
    """.2/.4 of the numbers at the ends of I and I − 1, .2/.2, 0/.2, and 0/0; at most .1."""
    x = torch.tensor([0.1, 0.2, 0.9, 1.2, 3.9])
    grid = Grid(Shared(bits=4, exponent=begin, every=3, overflow=0.1))
    for batch in range(3):
        assert int(grid.exponent) == begin
        assert float(grid.seen[0]) == batch
        grid.follow(grid.quantized(x))
    assert int(grid.exponent) == end
    assert grid.seen.tolist() == [0, 0, 0]


def test_a_range_begins_with_its_first_numbers() -> None:
    grid = Grid(Shared(bits=4))
    assert float(grid.quantized(torch.tensor(100.0))) == 30  # the authors' 2⁵, as long as nothing is seen
    grid.find(torch.tensor([0.3, -0.7]))
    grid.find(torch.tensor([100.0]))
    assert int(grid.exponent) == 0
    fixed = Grid(Shared(bits=4, exponent=2, dynamic=False, every=1))
    fixed.find(torch.tensor([100.0]))
    fixed.follow(torch.full((9,), 3.75))
    assert int(fixed.exponent) == 2


def fixed(**keys: int) -> Method:
    """The row with ranges that stay."""
    row = METHODS["lowprec"]
    options = {"dynamic": False, **keys}
    sides = {
        "weight": row.weight.model_copy(
            update={
                "quantizer": row.weight.quantizer.model_copy(update=options),
                "estimator": row.weight.estimator.model_copy(update=options),
            }
        ),
        "activation": row.activation.model_copy(
            update={
                "quantizer": row.activation.quantizer.model_copy(update=options),
                "estimator": row.activation.estimator.model_copy(update=options),
            }
        ),
    }
    return row.model_copy(update=sides)


def q(x: np.ndarray, bits: int, exponent: int) -> np.ndarray:
    step = 2.0 ** (exponent - bits)
    found: np.ndarray = np.sign(x) * np.minimum(np.floor(np.abs(x) / step + 0.5), 2**bits - 1) * step
    return found


def test_a_layer_and_its_gradients() -> None:
    layer = BinaryLinear(
        6, 4, bias=False, method=fixed(bits=5, exponent=1, update_bits=7), role="body"
    ).double()
    enforce(layer)
    w = layer.weight.detach().numpy()
    np.testing.assert_array_equal(w, q(w, 7, 1))
    x, g = np.random.default_rng(1).normal(size=(3, 6)), np.random.default_rng(2).normal(size=(3, 4))
    seen = torch.from_numpy(x).requires_grad_()
    y = layer(seen)
    np.testing.assert_allclose(y.detach(), q(x, 5, 1) @ q(w, 5, 1).T)
    y.backward(torch.from_numpy(g))
    assert seen.grad is not None
    assert layer.weight.grad is not None
    np.testing.assert_allclose(seen.grad, q(g @ q(w, 5, 1), 5, 1))
    np.testing.assert_allclose(layer.weight.grad, q(g.T @ q(x, 5, 1), 5, 1))
    hold(layer)
    (plain,) = torch.autograd.grad(layer(seen), seen, torch.from_numpy(g))
    np.testing.assert_allclose(plain, g @ q(w, 5, 1))


RUNS: dict[str, Any] = {"method": {"name": "lowprec", "activation": {"quantizer": {"every": 3}}}}


def test_a_resumed_run_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start(tiny(tmp_path / "straight", **RUNS))
    monkeypatch.setattr(run, "StopRequest", lambda: StopAfter(7))
    with pytest.raises(Interrupted):
        start(tiny(tmp_path / "broken", **RUNS))
    monkeypatch.undo()
    resume(tmp_path / "broken", None)
    assert_same_run(tmp_path / "straight", tmp_path / "broken")


@pytest.mark.parametrize(("method", "words"), [("lowprec", "no bit planes"), ("qcnn", "no bits")])
def test_neither_packs(method: str, words: str) -> None:
    with pytest.raises(ExportError, match=words):
        _refuse(BinaryLinear(6, 4, method=method, role="body"))
