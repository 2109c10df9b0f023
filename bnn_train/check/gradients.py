"""Does the gradient of training equal the one it claims to be? Central differences in float64."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bnn_train.binary.expected_deviation import hold as hold_deviations
from bnn_train.binary.fixed_point import hold as hold_grids
from bnn_train.binary.layers import BinaryLayer
from bnn_train.binary.quantizers.base import hold
from bnn_train.binary.weight_quantizer import WeightQuantizer
from bnn_train.check.line import Line, judge, some
from bnn_train.check.subject import Subject, inputs_of
from bnn_train.check.surrogate import plain_gradients, plain_norms, replace, replaced
from bnn_train.training.losses import criterion

IMAGES = 16
STEPS = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
"""Widths of the central difference; the best counts: wide ones bend, narrow ones drown in rounding."""
ENTRIES = 3
"""Numbers tried of each binary weight: the largest gradient and random ones; one of every other parameter."""
LARGE = 2e8
"""Multiply-accumulates of a network from which one number must do."""
EXACT = 1e-4
"""Relative difference that rounding explains; measured at most 4e-6 on the shipped networks."""


@dataclass(frozen=True, kw_only=True)
class _Case:
    """One number of one parameter."""

    name: str
    parameter: Tensor
    index: int
    claimed: float
    scale: float
    """Differences are relative to this, at least: a hundredth of the parameter's largest gradient."""
    gain: int


def gradients(s: Subject) -> Iterator[Line]:
    """Autograd through the layers against differences of the surrogate, and the surrogate's value itself."""
    real, exchanged = _in_float64(s)
    loss_of = _loss_of(s)
    losses: list[Tensor] = []
    inputs = inputs_of(replaced(real), lambda: losses.append(loss_of(real)))
    twin = copy.deepcopy(real, {id(p): p for p in real.parameters()})
    replace(twin, inputs)
    loss, start = losses[0], float(loss_of(twin).detach())
    yield _forward(float(loss.detach()), start)
    loss.backward()  # type: ignore[no-untyped-call]  # in torch
    s.seed("entries")
    cases = list(_cases(real, s.macs, 1e-5 * max(1.0, abs(start))))
    errors = {case.name: 0.0 if _finite(case.parameter.grad) else math.inf for case in cases}
    with torch.no_grad():
        for case in cases:
            errors[case.name] = max(errors[case.name], _error(case, lambda: float(loss_of(twin))))
    yield _compared(errors, len(cases), real, exchanged)
    silent = _silent(real)
    if silent:
        yield _no_gradient(silent)


LossOf = Callable[[nn.Module], Tensor]


def _in_float64(s: Subject) -> tuple[nn.Module, list[str]]:
    """The network, and what of it had to be exchanged for something differentiable."""
    real = s.copy().double()
    hold_grids(real)
    hold(real)  # passes of the network and of its surrogate see the same quantizers
    shifted = plain_norms(real)
    said = [f"{shifted} shift norms stood as batch norms"] if shifted else []
    said += ["deviations of sums stood still"] if hold_deviations(real) else []
    return real, said + sorted(set(plain_gradients(real)))


def _loss_of(s: Subject) -> LossOf:
    """The training loss of a few images in float64."""
    images, labels = s.batch(IMAGES)
    images, loss = images.double(), criterion(s.experiment.loss)

    def loss_of(model: nn.Module) -> Tensor:
        s.seed("gradient")  # the same dropout and stochastic signs each time
        return loss(model(images), labels)

    return loss_of


def _cases(model: nn.Module, macs: int, noise: float) -> Iterator[_Case]:
    """``noise``: gradients under it drown in the rounding of the loss."""
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    floor = max(noise, 1e-6 * max(float(g.abs().max()) for g in gradients.values()))
    for name, p in model.named_parameters():
        if name not in gradients:
            continue
        owner = model.get_submodule(name.rpartition(".")[0])
        latent = isinstance(owner, BinaryLayer) and owner.binarizes and p is owner.weight
        g = gradients[name].detach().flatten()
        scale = max(0.01 * float(g.abs().max()), floor)
        factor = _gain(owner, p)
        for index in _chosen(p.detach().flatten(), g, ENTRIES if latent and macs < LARGE else 1):
            claimed = float(g[index])
            yield _Case(name=name, parameter=p, index=index, claimed=claimed, scale=scale, gain=factor)


def _gain(owner: nn.Module, p: Tensor) -> int:
    """The factor on a latent weight's gradient that is no derivative."""
    quantizer = owner.weight_quantizer if isinstance(owner, BinaryLayer) and p is owner.weight else None
    return 1 if quantizer is None else quantizer.gain(p)


def _chosen(w: Tensor, g: Tensor, count: int) -> list[int]:
    """The place of the largest gradient, and random ones, away from the kinks at 0 and ±1."""
    away = torch.minimum(w.abs(), (w.abs() - 1).abs()) > 1e-4
    places = torch.nonzero(away).flatten() if bool(away.any()) and len(w) > 1 else torch.arange(len(w))
    largest = int(places[g[places].abs().argmax()])
    return [largest, *places[torch.randint(len(places), (count - 1,))].tolist()]


def _error(case: _Case, loss: Callable[[], float]) -> float:
    """Relative difference, the best over the widths; infinity where one side is no number."""
    errors = []
    for h in STEPS:
        found = case.gain * _difference(case, loss, h)
        error = abs(found - case.claimed) / max(abs(found), abs(case.claimed), case.scale)
        errors.append(math.inf if math.isnan(error) else error)
        if errors[-1] < EXACT / 10:
            break
    return min(errors)


def _difference(case: _Case, loss: Callable[[], float], h: float) -> float:
    """(L(θ + h) − L(θ − h))/2h."""
    place = _place(case.parameter, case.index)
    before = case.parameter[place].clone()
    case.parameter[place] = before + h
    above = loss()
    case.parameter[place] = before - h
    below = loss()
    case.parameter[place] = before
    return (above - below) / (2 * h)


def _place(parameter: Tensor, index: int) -> tuple[int, ...]:
    """The indices of an entry by its number in row-major order, whatever the memory layout."""
    place = []
    for size in reversed(parameter.shape):
        index, at = divmod(index, size)
        place.append(at)
    return tuple(reversed(place))


def _finite(g: Tensor | None) -> bool:
    return g is not None and bool(torch.isfinite(g).all())


def _silent(model: nn.Module) -> list[str]:
    layers = ((name, m) for name, m in model.named_modules() if isinstance(m, BinaryLayer) and m.binarizes)
    return [name for name, m in layers if m.weight.grad is None or not bool(m.weight.grad.any())]


def _forward(real: float, twin: float) -> Line:
    error = abs(real - twin) / max(1.0, abs(real))
    return Line(
        name="forward pass",
        verdict=judge(error, ok=(0, 1e-9), look=(0, 1e-9)),
        measured=f"loss {real:.6g}, restated from the formulas {twin:.6g}",
        healthy="equal to 1e-9 in float64",
        source="formulas of method, see bnn_train/check/surrogate.py",
        advice="A binary layer does not compute α·q(w) ∗ q(x) as its method says: if bnn_train/binary was"
        " changed, run tests/unit/test_layers.py and tests/golden.",
    )


def _compared(errors: dict[str, float], count: int, model: nn.Module, exchanged: list[str]) -> Line:
    name = max(errors, key=lambda key: errors[key])
    rules = dict(_untrue(model))
    formulas = [
        f"{rule} is no derivative of the loss and was held against {formula}"
        for rule, formula in sorted(rules.items())
    ]
    formulas += exchanged
    lost = [key for key, error in errors.items() if math.isinf(error)]
    if lost:
        formulas.append(f"NaN or infinity in {some(lost)}")
    wrong = [key for key, error in errors.items() if not error <= EXACT]
    return Line(
        name="gradient",
        verdict=judge(errors[name], ok=(0, EXACT), look=(0, 10 * EXACT)),
        measured=f"differs by at most {errors[name]:.1g} ({name}) over {count} numbers of {len(errors)}"
        " parameters" + "".join(f"; {text}" for text in formulas),
        healthy=f"relative difference ≤ {EXACT:g}",
        source="central differences of the estimators' antiderivatives, float64",
        advice=f"The backward pass is not that of the method in {some(wrong)}: a changed estimator or weight"
        " gradient trains something else than the config says.",
    )


def _untrue(model: nn.Module) -> Iterator[tuple[str, str]]:
    """Weight gradients that are not the chain rule's: their formula is compared, not a derivative of the
    loss."""
    for module in model.modules():
        if isinstance(module, WeightQuantizer) and module.untrue is not None and not module.progress.waits:
            yield module.spec.gradient, module.untrue


def _no_gradient(names: list[str]) -> Line:
    return Line(
        name="gradient reach",
        verdict="wrong",
        measured=f"none reaches {some(names)}",
        healthy="some gradient in every binary weight",
        advice="All latent weights or all inputs there lie outside the estimator's window (|x| ≤ 1), or a"
        " layer behind it is dead: check the norms and method.latent.init.",
    )
