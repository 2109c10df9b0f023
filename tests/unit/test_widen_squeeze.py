"""Gates of channels, the term that closes them, and exports without what is closed, against numpy."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bnn_train.binary.estimators import ESTIMATORS
from bnn_train.binary.quantizers import Quantizer, quantizer
from bnn_train.binary.quantizers.base import SIGN
from bnn_train.config.checks import problems
from bnn_train.config.loader import from_mapping
from bnn_train.config.merge import merge
from bnn_train.export.squeeze import squeeze
from bnn_train.export.trace import trace
from bnn_train.models.build import build
from bnn_train.spec.annealed import Position
from bnn_train.spec.estimators import Clip
from bnn_train.spec.methods import METHODS
from bnn_train.spec.networks import NETWORKS
from bnn_train.spec.quantizers import GatedSign
from bnn_train.spec.terms import ChannelGates as Options
from bnn_train.training.losses.channel_gates import ChannelGates
from bnn_train.training.losses.table import terms_of
from bnn_train.training.losses.terms import Context
from bnn_train.training.setup import build_learner
from bnn_train.training.step import Kept, training_step
from lowering import pair, scramble
from tiny import tiny

ROW = METHODS["widen_squeeze"]
SHAPE = (3, 16, 16)
CPU = torch.device("cpu")
OPTIONS: dict[str, dict[str, Any]] = {
    "mlp": {"width": 24, "depth": 3},
    "convnet": {"width": 8},
    "resnet20": {"width": 8},
    "resnet18": {"width": 8, "stem": "small", "shortcut": "A"},
}
GATES = [1.0, 0.5, 0.4999, -0.7, 2.0]
X = [[-2.0, -0.5, 3.0, 1.0, -0.0], [0.0, 0.7, -1.0, 0.2, float("nan")]]


def gated(learns: bool = True) -> Quantizer:
    made = quantizer(GatedSign(learns=learns))
    made.gate(5, torch.empty(0, dtype=torch.float64))
    assert made.gates is not None
    assert made.gates.tolist() == [1] * 5
    with torch.no_grad():
        made.gates.copy_(torch.tensor(GATES))
    return made


@pytest.mark.parametrize("maps", [False, True], ids=["features", "maps"])
def test_a_closed_channel_is_0(maps: bool) -> None:
    made = gated()
    x = torch.tensor(X, dtype=torch.float64)
    values = (x[:, :, None, None] if maps else x).clone().requires_grad_()
    found = made.value(values, ESTIMATORS.build(Clip()), drawn=True, span=1.0)
    signs = np.where(np.array(X) < 0, -1.0, 1.0)  # NaN and −0 count as +1
    mask = np.array([1, 1, 0, 0, 1])
    np.testing.assert_array_equal(found.detach().numpy().reshape(2, 5), signs * mask)
    np.testing.assert_array_equal(made.codes(x, (), drawn=False).numpy(), signs * mask)
    g = torch.arange(1.0, 11.0, dtype=torch.float64).view(2, 5)
    found.backward(g.view_as(found))
    assert values.grad is not None
    assert made.gates is not None
    assert made.gates.grad is not None
    window = np.abs(np.nan_to_num(np.array(X), nan=9.0)) <= 1
    np.testing.assert_array_equal(values.grad.numpy().reshape(2, 5), g.numpy() * mask * window)
    np.testing.assert_array_equal(made.gates.grad.numpy(), (g.numpy() * signs).sum(axis=0))


def test_without_gates_it_is_a_sign() -> None:
    made = quantizer(GatedSign())
    assert made.code == SIGN
    assert gated().code != SIGN
    assert not list(made.parameters())
    x = torch.tensor(X)
    assert made.codes(x, (), drawn=False).tolist() == np.where(np.array(X) < 0, -1.0, 1.0).tolist()


def gates_of(model: nn.Module) -> dict[str, Tensor]:
    """By the name of the layer."""
    return {
        name.partition(".input_quantizer")[0]: module.gates
        for name, module in model.named_modules()
        if isinstance(module, Quantizer) and module.gates is not None
    }


def network(name: str) -> nn.Module:
    options = NETWORKS[name].model_validate({"name": name, **OPTIONS[name]})
    return build(options, ROW, SHAPE, 5)  # type: ignore[arg-type]  # a member of the union


EXPECTED = {
    "mlp": ["linear2", "linear3"],  # the last layer is real
    "convnet": [*(f"conv{i}" for i in range(2, 7)), "linear8"],  # linear7 reads the flattened map
    "resnet20": [f"stage{s}.{b}.body.3" for s in (1, 2, 3) for b in (0, 1, 2)],  # inside the blocks
    "resnet18": [f"stage{s}.{b}.body.3" for s in (1, 2, 3, 4) for b in (0, 1)],
}


@pytest.mark.parametrize("name", OPTIONS)
def test_gates_stand_where_one_layer_makes_and_one_reads(name: str) -> None:
    assert list(gates_of(network(name))) == EXPECTED[name]


def test_the_term_is_the_sum_of_magnitudes() -> None:
    model = network("mlp")
    values = [torch.linspace(-1, 1, 24), torch.linspace(0.25, 2, 24)]
    with torch.no_grad():
        for gate, value in zip(gates_of(model).values(), values, strict=True):
            gate.copy_(value)
    term = ChannelGates(Options(name="channel_gates"))
    empty = torch.empty(0)
    found = term(Context(empty, torch.zeros(1), empty, model, Position()))
    assert float(found.detach()) == pytest.approx(sum(float(np.abs(v.numpy()).sum()) for v in values))
    found.backward()
    for gate, value in zip(gates_of(model).values(), values, strict=True):
        np.testing.assert_array_equal(gate.grad, np.sign(value.numpy()))


@pytest.mark.parametrize("learns", [True, False])
def test_gates_close_under_the_term_or_stay(learns: bool, tmp_path: Path) -> None:
    terms = [{"name": "channel_gates", "weight": 10.0}] if learns else []
    method = {"name": "widen_squeeze", "activation": {"quantizer": {"name": "gated_sign", "learns": learns}}}
    e = tiny(
        tmp_path,
        method=method,
        model={"depth": 3},
        optimizer={"name": "sgd", "lr": 0.01},
        loss={"name": "square_hinge", "terms": terms},
    )
    model = build(e.model, e.method, (1, 6, 6), 4)
    learner = build_learner(e, model, CPU, terms_of(e.loss, CPU))
    learner.optimizers.set_rate(0.01, 0)
    batch = torch.randn(8, 1, 6, 6), torch.arange(8) % 4
    assert training_step(learner, Kept(model), [batch], position=Position(), clip=None)
    moved = torch.cat(list(gates_of(model).values())).detach() - 1
    if not learns:
        assert not moved.any()
    else:  # 5 times the rate, against which the task's gradients are small
        np.testing.assert_allclose(moved.numpy(), -0.01 * 5 * 10, atol=0.05)


@torch.no_grad()
def close(model: nn.Module, seed: int = 0) -> dict[str, int]:
    """Close about a third of the channels; how many stay open, by layer."""
    draw = torch.Generator().manual_seed(seed)
    for gate in gates_of(model).values():
        gate.copy_(torch.rand(gate.shape, generator=draw) * 1.5)
        gate[0] = 1
    return {name: int((gate >= 0.5).sum()) for name, gate in gates_of(model).items()}


@pytest.mark.parametrize("name", OPTIONS)
def test_what_is_closed_is_removed_and_nothing_changes(name: str) -> None:
    """In float64, in which sums of other counts of zeros round alike to 1e-12."""
    model = scramble(network(name), SHAPE)
    left = close(model)
    whole, small = copy.deepcopy(model).double(), model
    graph = trace(small, SHAPE).graph
    small.double()
    channels = sum(len(gate) for gate in gates_of(model).values())
    (told,) = squeeze(small, graph)
    assert told.startswith(f"{channels - sum(left.values())} of {channels} channels")
    assert not gates_of(small)
    assert {key: small.get_parameter(f"{key}.weight").shape[1] for key in left} == left
    images = torch.randn(4, *SHAPE, dtype=torch.float64)
    torch.testing.assert_close(small(images), whole(images), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["convnet", "resnet20"])
def test_the_file_has_what_is_open(name: str) -> None:
    model = scramble(network(name), SHAPE)
    left = close(model)
    made = pair(model, SHAPE)
    stored = {step.layer: step for step in made.lowered.program.steps if step.op == "conv"}
    for layer, count in left.items():
        assert made.lowered.program.values[stored[layer].input].channels == count
        assert made.lowered.program.values[stored[layer].input].code == SIGN


def test_a_layer_without_an_open_channel_keeps_its_zeros() -> None:
    model = network("mlp").eval()
    with torch.no_grad():
        gates_of(model)["linear3"].fill_(0)
    images = torch.randn(2, *SHAPE)
    expected = model(images)
    told = squeeze(model, trace(model, SHAPE).graph)
    assert told == ["0 of 48 channels with gates are closed and were removed", told[1]]
    assert told[1].startswith("24 more stay as zeros")
    assert list(gates_of(model)) == ["linear3"]
    torch.testing.assert_close(model(images), expected)


BASE = {"method": {"name": "widen_squeeze"}, "model": "resnet20", "data": "cifar10"}
FROZEN = {"method": {"activation": {"quantizer": {"name": "gated_sign", "learns": False}}}}
TERM = {"loss": {"name": "cross_entropy", "terms": ["channel_gates"]}}


def told(*sections: dict[str, Any]) -> dict[str, str]:
    """Key path → sentence."""
    merged: dict[str, Any] = BASE
    for section in sections:
        merged = merge(merged, section)
    return {".".join(map(str, key)): text for key, text in problems(from_mapping(merged))}


def test_what_it_refuses() -> None:
    assert told() == told(TERM) == told(FROZEN) == {}
    assert "use a resnet or a plain chain" in told({"model": {"name": "quicknet"}})["model.name"]
    assert "use per_block" in told({"method": {"block": {"shortcut": "per_conv"}}})["method.block.shortcut"]
    assert "belongs to signs" in told({"method": {"padding": 1}})["method.padding"]
    assert "needs gates that learn" in told(FROZEN, TERM)["loss.terms.0"]
    assert "needs gates that learn" in told({"method": {"name": "bnn"}}, TERM)["loss.terms.0"]
