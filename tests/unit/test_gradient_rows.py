"""ReCU, LAB, Eedn, Self-Binarizing and Bitwise Networks and BNN+'s term against their formulas in numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bnn_train.binary.layers import BinaryConv2d, BinaryLinear
from bnn_train.binary.placed import place
from bnn_train.binary.pre import PRES
from bnn_train.binary.quantizers import quantizer
from bnn_train.config.checks import problems
from bnn_train.config.loader import from_mapping
from bnn_train.errors import Interrupted
from bnn_train.spec import learning, pre, quantizers
from bnn_train.spec.annealed import START, Position
from bnn_train.spec.methods import METHODS
from bnn_train.training import run
from bnn_train.training.losses.regularizer import Regularizer
from bnn_train.training.losses.spikes import Spikes
from bnn_train.training.losses.terms import Context
from bnn_train.training.optimizers.assembly import KINDS
from bnn_train.training.run import resume, start
from bnn_train.training.setup import build_learner, build_model
from bnn_train.training.step import Kept, training_step
from same_run import assert_same_run
from stopping import StopAfter
from tiny import tiny

CPU = torch.device("cpu")
GOLDEN = [1, 2, -1, -4, 0.5, 0.5]
RECU1 = np.array([1.5613, 2.8996, -1.1152, -5.1301, 0.8922, 0.8922])


def dense(method: Any, inputs: int = 6, outputs: int = 3) -> BinaryLinear:
    return BinaryLinear(inputs, outputs, bias=False, method=method, role="body").double()


@pytest.mark.parametrize(("tau", "bound"), [(0.85, 2.5064), (0.99, 8.1440)])
def test_recu_clamps_to_its_quantile(tau: float, bound: float) -> None:
    """Entries beyond ±Q have no gradient of their own; the others' comes through mean and deviation too."""
    w = torch.tensor([GOLDEN], dtype=torch.float64, requires_grad=True)
    u = PRES.build(pre.RectifiedClamp(tau=tau)).prepare(w, (1,))
    np.testing.assert_allclose(u.detach().numpy()[0], RECU1.clip(-bound, bound), atol=2e-4)
    g = np.arange(1.0, 7)
    u.backward(torch.from_numpy(g[None]))
    a = np.array(GOLDEN) - np.mean(GOLDEN)
    s = np.sqrt(a.var(ddof=1) + 1e-5)
    gu = np.where(np.abs(RECU1) > bound, 0, g) * 2 * np.sqrt(2)
    expected = gu / s - a * (gu * a).sum() / (5 * s**3)
    assert w.grad is not None
    np.testing.assert_allclose(w.grad.numpy()[0], expected - expected.mean(), rtol=1e-6)


@pytest.mark.parametrize("epoch", [0.0, 50.0, 99.0])
def test_recu_multiplies_signs_of_centred_weights(epoch: float) -> None:
    layer = dense("recu")
    place(layer, Position(epoch=epoch, epochs=100))
    assert layer.weight_quantizer is not None
    alpha = layer.weight_quantizer.scale.alpha
    assert alpha is not None
    assert bool(((alpha > 0) & (alpha < 1)).all())
    with torch.no_grad():
        alpha.copy_(torch.tensor([0.5, -0.25, 2.0]))
    w = layer.weight.detach().numpy()
    expected = np.where(w - w.mean(1, keepdims=True) < 0, -1, 1) * np.array([[0.5], [-0.25], [2.0]])
    np.testing.assert_array_equal(layer.read_weight().detach().numpy(), expected)


def test_recu_divides_by_each_images_deviation_while_training() -> None:
    made, x = PRES.build(pre.SampleDeviation()), torch.randn(3, 4, 5, 5)
    expected = x.numpy() / np.sqrt(x.numpy().reshape(3, -1).var(1, ddof=1) + 1e-5).reshape(3, 1, 1, 1)
    np.testing.assert_allclose(made.train().prepare(x, ()).numpy(), expected, rtol=1e-5)
    assert made.eval().prepare(x, ()) is x


def test_reste_passes_the_scale_of_the_layer() -> None:
    """ŵ = mean|w|·sign(w), and the mean is not detached."""
    layer = dense("reste")
    place(layer, START)  # o = 1: slope 1 to ±1.5
    with torch.no_grad():
        layer.weight.mul_(2)
    g = np.random.default_rng(0).normal(size=(3, 6))
    layer.read_weight().backward(torch.from_numpy(g))
    w = layer.weight.detach().numpy()
    s = np.where(w < 0, -1, 1)
    expected = (g * s).sum() * s / w.size + np.abs(w).mean() * g * (np.abs(w) <= 1.5)
    assert layer.weight.grad is not None
    np.testing.assert_allclose(layer.weight.grad.numpy(), expected, rtol=1e-9)


# ------------------------------------------------------------------------------------------------ LAB


def steps(folder: Path, count: int, **changes: Any) -> Any:
    e = tiny(folder, **changes)
    learner = build_learner(e, build_model(e, (1, 6, 6), 4, CPU).train(), CPU)
    learner.optimizers.set_rate(0.01, 0)
    batch = torch.linspace(-1, 1, 16 * 36).view(16, 1, 6, 6), torch.arange(16) % 4
    for _ in range(count):
        assert training_step(learner, Kept(learner.model), [batch], position=START, clip=None)
    return learner


@pytest.mark.parametrize("optimizer", ["adam", "adamax", "shift_adamax"])
def test_lab_weighs_by_the_second_moment(optimizer: str, tmp_path: Path) -> None:
    learner = steps(tmp_path, 3, method="lab", optimizer={"name": optimizer})
    layer = learner.model.linear2
    moment = learner.optimizers.second_moment(layer.weight)
    d, w = np.sqrt(moment.double().numpy()) + 1e-8, layer.weight.detach().double().numpy()
    found = layer.read_weight().detach().numpy()
    np.testing.assert_allclose(found, np.where(w < 0, -1, 1) * (d * np.abs(w)).sum() / d.sum(), rtol=1e-5)


def test_lab_begins_as_bwn() -> None:
    layer = dense("lab")
    w = layer.weight.detach().numpy()
    np.testing.assert_allclose(layer.read_weight().detach(), np.where(w < 0, -1, 1) * np.abs(w).mean())


def test_alpha_of_lab_is_the_best_one() -> None:
    layer = dense("lab")
    assert layer.weight_quantizer is not None
    moment = torch.rand(3, 6, dtype=torch.float64)
    layer.weight_quantizer.scale.take(moment)
    d, w = np.sqrt(moment.numpy()) + 1e-8, np.abs(layer.weight.detach().numpy())
    alphas = np.linspace(0, 2 * w.max(), 100_001)
    best = alphas[np.argmin([(d * a * a).sum() - 2 * a * (d * w).sum() for a in alphas])]
    assert float(layer.read_weight().detach().abs().max()) == pytest.approx(best, abs=1e-4)


def test_facts_of_optimizers_are_those_of_their_objects() -> None:
    for section in (learning.Adam, learning.AdaMax, learning.ShiftAdaMax, learning.SGD):
        name = section.model_fields["name"].annotation.__args__[0]  # type: ignore[union-attr]  # a Literal
        assert section.second_moment == (KINDS[name].second_moment is not None)


# ----------------------------------------------------------------------------------------------- Eedn


def test_hysteresis_keeps_codes_between_the_thresholds() -> None:
    layer = dense(METHODS["eedn"], 7, 1)
    assert layer.weight_quantizer is not None
    made = layer.weight_quantizer.quantizer

    def code(*w: float) -> list[float]:
        row = torch.tensor([w], dtype=torch.float64)
        return [float(c) for c in made.codes(row, (1,), drawn=True)[0]]

    start_ = (0.0, -0.0, 0.7, -0.7, 0.45, 0.55, -1.0)
    made.initialise(torch.tensor([start_], dtype=torch.float64))
    assert code(*start_) == [0, 0, 1, -1, 0, 1, -1]
    assert code(0.55, -0.59, 0.41, 0.5, 0.61, 0.3, -0.6) == [0, 0, 1, -1, 1, 0, -1]  # a new sign keeps
    assert code(0.6, -0.6, 0.39, -0.4, 0.5, 0.5, float("nan")) == [1, -1, 0, 0, 1, 0, -1]
    made.eval()
    assert code(*[1.0] * 7) == [1] * 7
    assert code(*[0.5] * 7) == [1, -1, 0, 0, 1, 0, -1]  # evaluations do not write


def test_heaviside_is_its_formula() -> None:
    x = torch.tensor([-2, -1e-40, -0.0, 0.0, 1e-40, 3, float("nan")])
    codes = quantizer(quantizers.Heaviside()).codes(x, (), drawn=False)
    np.testing.assert_array_equal(codes.numpy(), np.where(x.numpy() < 0, 0, 1))


def test_spikes_are_counted_by_channel() -> None:
    model = nn.Sequential(BinaryConv2d(3, 4, 1, method="eedn", role="body")).train()
    term = Spikes(learning.Spikes(name="spikes"))
    term.attach(model)
    x = torch.randn(2, 3, 5, 5, requires_grad=True)
    logits = model(x).flatten(1)
    loss = term(Context(x, logits, torch.zeros(2), model, START))
    loss.backward()
    rates = (x.detach().numpy() >= 0).mean(axis=(0, 2, 3))
    assert float(loss.detach()) == pytest.approx((rates**2).mean() / 2)
    slope = np.maximum(0, 1 - np.abs(x.detach().numpy()))
    assert x.grad is not None
    np.testing.assert_allclose(x.grad, rates.reshape(1, 3, 1, 1) * slope / (3 * 50), rtol=1e-5)


# ---------------------------------------------------------------- tanh, shares, the regularizer, rules


@pytest.mark.parametrize("epoch", [0.0, 50.0, 100.0])
def test_self_binarizing_is_tanh_until_it_is_evaluated(epoch: float) -> None:
    layer, nu = dense("self_binarizing"), 1000 ** (epoch / 100)
    place(layer, Position(epoch=epoch, epochs=100))
    x = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
    y = layer.train()(x)
    w, v = layer.weight.detach().numpy(), x.detach().numpy()
    np.testing.assert_allclose(y.detach(), np.tanh(nu * v) @ np.tanh(nu * w).T, atol=1e-9)
    y.sum().backward()
    expected = np.tanh(nu * w).sum(0) * nu / np.cosh(np.minimum(np.abs(nu * v), 300)) ** 2
    assert x.grad is not None
    np.testing.assert_allclose(x.grad, expected, rtol=1e-6, atol=1e-12)
    signs = np.where(v < 0, -1, 1) @ np.where(w < 0, -1, 1).T
    np.testing.assert_array_equal(layer.eval()(x).detach(), signs)


def test_a_share_of_the_weights_is_zero() -> None:
    w = torch.tensor([[0.1, -0.2, 0.3, -0.4], [4.0, 3.0, -2.0, 0.0]])
    made = quantizer(quantizers.TernaryShare(share=0.5))
    assert made.codes(w, (1,), drawn=False).tolist() == [[0, 0, 1, -1], [1, 1, 0, 0]]
    assert made.codes(w, (0, 1), drawn=False).tolist() == [[0, 0, 0, -1], [1, 1, -1, 0]]
    none = quantizer(quantizers.TernaryShare(share=0.0))
    assert none.codes(w, (1,), drawn=False).tolist() == [[1, -1, 1, -1], [1, 1, -1, 1]]


@pytest.mark.parametrize("form", ["l1", "l2"])
@pytest.mark.parametrize("alpha", ["one", "mean", "median", "scale"])
def test_the_regularizer_draws_to_alpha(form: Any, alpha: Any) -> None:
    layer = dense("bnnplus", 7)
    term = Regularizer(learning.Regularizer(name="regularizer", form=form, alpha=alpha))
    x = torch.zeros(1, dtype=torch.float64)
    loss = term(Context(x, x, x, layer, START))
    loss.backward()
    w = layer.weight.detach().numpy()
    centre = {"one": np.ones((3, 1)), "median": np.median(np.abs(w), 1, keepdims=True)}
    far = centre.get(alpha, np.abs(w).mean(1, keepdims=True)) - np.abs(w)
    assert float(loss.detach()) == pytest.approx((np.abs(far) if form == "l1" else far**2).mean())
    slope = (np.sign(far) if form == "l1" else 2 * far) / w.size
    assert layer.weight.grad is not None
    np.testing.assert_allclose(layer.weight.grad, -slope * np.where(w < 0, -1, 1), atol=1e-7)
    assert layer.weight_quantizer is not None
    learned = layer.weight_quantizer.scale.alpha
    assert learned is not None
    if alpha == "scale":
        assert learned.grad is not None
        np.testing.assert_allclose(learned.grad, slope.sum(1), atol=1e-7)


SPIKES = {"loss": {"name": "cross_entropy", "terms": ["spikes"]}}
REGULARIZED = {"name": "cross_entropy", "terms": [{"name": "regularizer", "alpha": "scale"}]}


@pytest.mark.parametrize(
    ("sections", "path", "words"),
    [
        ({"method": {"name": "recu", "latent": {"clip": 1.0}}}, "method.latent.clip", "clamps already"),
        ({"method": "lab", "optimizer": "sgd"}, "optimizer", "no second moment"),
        ({"method": "eedn", "training": {"ema": 0.9}}, "training.ema", "no average"),
        ({"method": "bnn", **SPIKES}, "loss.terms.0", "heaviside"),
        ({"method": "fp", "loss": REGULARIZED}, "loss.terms.0", "no effect"),
        ({"method": "bnn", "loss": REGULARIZED}, "loss.terms.0", "scale is none"),
    ],
)
def test_what_cannot_work_is_refused(sections: dict[str, Any], path: str, words: str) -> None:
    found = {".".join(map(str, key)): told for key, told in problems(from_mapping(BASE | sections))}
    assert found.keys() == {path}
    assert words in found[path]


BASE = {"model": "mlp", "data": "mnist"}


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "eedn", "loss": {"terms": ["spikes"]}},
        {"method": "lab"},
        {"method": "recu"},
        {"method": "self_binarizing", "training": {"ema": 0.9}},
        {"method": "bnnplus", "loss": {"terms": [{"name": "regularizer", "alpha": "scale"}]}},
    ],
    ids=lambda changes: changes["method"],
)
def test_a_resumed_run_is_the_same(
    changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = changes | {"training": {"epochs": 3, **changes.get("training", {})}}
    start(tiny(tmp_path / "straight", **changes))
    broken = tiny(tmp_path / "broken", **changes)
    with monkeypatch.context() as patch:
        patch.setattr(run, "StopRequest", lambda: StopAfter(7))
        with pytest.raises(Interrupted):
            start(broken)
    resume(tmp_path / "broken", None)
    assert_same_run(tmp_path / "straight", tmp_path / "broken")
