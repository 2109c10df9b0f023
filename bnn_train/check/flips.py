"""How many weights change sign in a step: too few learn nothing, too many forget it at once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from bnn_train.binary.layers import binary_layers
from bnn_train.check.line import Line, judge, percent, some, worst
from bnn_train.check.steps import one_step
from bnn_train.check.subject import Subject
from bnn_train.config.schema import Experiment
from bnn_train.report.diagnostics import flip_rates, packed_signs
from bnn_train.training.schedules import learning_rate
from bnn_train.training.setup import Learner

STEPS = 20
HEALTHY = (1e-5, 0.05)
BEARABLE = (1e-7, 0.25)
"""Share of a layer's weights a step, at the highest rate. Random signs would flip by half."""


@dataclass(frozen=True, kw_only=True)
class _Motion:
    """How one layer's latent weights moved in the last step; means."""

    size: float
    """|w|."""
    step: float
    """|Δw|."""
    gradient: float
    """|∂L/∂w|."""


def flips(s: Subject, steps: int = STEPS) -> Iterator[Line]:
    """Share of each binary layer's weights that flip in a step, over some real steps on a copy."""
    learner = s.learner()
    if not list(binary_layers(learner.model)):
        return
    rates, motions, images, lr = _trained(s, learner, steps)
    yield _line(s.experiment, rates, motions, f"{steps} steps of {images} images at rate {lr:.3g}")
    decay = s.experiment.optimizer.weight_decay_binary
    if decay:
        yield _decay(decay, motions)


def _trained(
    s: Subject, learner: Learner, steps: int
) -> tuple[dict[str, float], dict[str, _Motion], int, float]:
    most = s.affordable(steps, least=16)
    first = _position(s)
    totals = {name: 0.0 for name, _ in binary_layers(learner.model)}
    before: dict[str, Tensor] = {}
    lr = 0.0
    for number, (images, labels) in zip(range(steps), _batches(s), strict=False):
        lr = _rate(s, first + number)
        learner.optimizers.set_rate(lr, s.progress.epochs_finished)
        signs = packed_signs(learner.model)
        if number == steps - 1:
            before = {name: layer.weight.detach().clone() for name, layer in binary_layers(learner.model)}
        s.seed(f"flips {number}")
        one_step(learner, images[:most], labels[:most], clip=s.experiment.training.clip_grad_norm)
        for name, rate in flip_rates(learner.model, signs).items():
            totals[name] += rate / steps
    return totals, _motions(learner, before), most, lr


def _position(s: Subject) -> int:
    """The step from which the rate is that of the schedule without its warm-up."""
    warmup = math.ceil(s.experiment.schedule.warmup * s.data.batches_per_epoch)
    return min(max(s.progress.step, warmup), s.experiment.training.epochs * s.data.batches_per_epoch - 1)


def _rate(s: Subject, step: int) -> float:
    e, per_epoch = s.experiment, s.data.batches_per_epoch
    step = min(step, e.training.epochs * per_epoch - 1)
    return learning_rate(
        e.schedule, e.optimizer.lr, step=step, steps_per_epoch=per_epoch, epochs=e.training.epochs
    )


def _batches(s: Subject) -> Iterator[tuple[Tensor, Tensor]]:
    """Training batches without end, epoch after epoch."""
    epoch = s.progress.epochs_finished
    while True:
        yield from s.data.train_batches(epoch)
        epoch += 1


def _motions(learner: Learner, before: dict[str, Tensor]) -> dict[str, _Motion]:
    result = {}
    for name, layer in binary_layers(learner.model):
        w, old = layer.weight.detach(), before[name]
        gradient = 0.0 if layer.weight.grad is None else float(layer.weight.grad.abs().mean())
        result[name] = _Motion(
            size=float(old.abs().mean()), step=float((w - old).abs().mean()), gradient=gradient
        )
    return result


def _line(experiment: Experiment, rates: dict[str, float], motions: dict[str, _Motion], what: str) -> Line:
    least, most = min(rates, key=lambda n: rates[n]), max(rates, key=lambda n: rates[n])
    finite = all(math.isfinite(m.step) for m in motions.values())
    verdict = worst(judge(rates[name], ok=HEALTHY, look=BEARABLE) for name in (least, most))
    if rates[most] >= HEALTHY[0] and rates[most] <= BEARABLE[1] and finite:
        verdict = "ok" if verdict == "ok" else "look"  # one small layer may rest for twenty steps
    return Line(
        name="flips",
        verdict=verdict if finite else "wrong",
        measured=f"{percent(rates[least])} ({least}) to {percent(rates[most])} ({most}) of a layer's weights"
        f" a step; {what}" + ("" if finite else "; latent weights became NaN or infinite"),
        healthy=f"{percent(HEALTHY[0])} to {percent(HEALTHY[1])} at the highest rate",
        advice=_advice(experiment, rates, motions),
    )


def _advice(experiment: Experiment, rates: dict[str, float], motions: dict[str, _Motion]) -> str:
    fast = [name for name in rates if rates[name] > HEALTHY[1] or not math.isfinite(motions[name].step)]
    if fast:
        name = max(fast, key=lambda n: rates[n])
        share = percent(motions[name].step / max(motions[name].size, 1e-30))
        return (
            f"{some(fast)}: a step moves a weight of {name} by {share} of its size, so that signs swing:"
            f" lower {_rate_key(experiment)}, or begin with larger latents (method.latent.init: uniform)."
        )
    slow = [name for name in rates if not rates[name] >= HEALTHY[0]]
    return f"{some(slow)}: {_why_frozen(experiment, motions[slow[0]])}" if slow else ""


def _rate_key(experiment: Experiment) -> str:
    return "optimizer.lr" if experiment.optimizer.binary is None else "optimizer.binary.gamma"


def _why_frozen(experiment: Experiment, m: _Motion) -> str:
    optimizer = experiment.optimizer
    if optimizer.binary is not None:
        threshold = optimizer.binary.threshold
        return f"the averaged gradients stay under the threshold {threshold:g}: lower it, or raise gamma."
    eps = getattr(optimizer, "eps", 0.0)
    if m.gradient < 10 * eps:
        return (
            f"the gradient, {m.gradient:.1g} on average, is lost in the optimizer's eps of {eps:g} (gradients"
            " behind a scale are 1/n as large): lower optimizer.eps, or set method.weight.gain: fan_in."
        )
    if optimizer.weight_decay_binary * m.size > m.gradient:
        return "weight decay pulls more than the gradient: set optimizer.weight_decay_binary: 0."
    steps = m.size / max(m.step, 1e-30)
    return (
        f"at |Δw| = {m.step:.1g} a step, a weight of {m.size:.1g} needs {steps:,.0f} steps to flip: raise"
        " optimizer.lr, or set method.latent.lr_scale: glorot (BinaryConnect §2.5)."
    )


def _decay(decay: float, motions: dict[str, _Motion]) -> Line:
    ratio = max(decay * m.size / max(m.gradient, 1e-30) for m in motions.values())
    return Line(
        name="latent decay",
        verdict=judge(ratio, ok=(0, 0.1), look=(0, 1)),
        measured=f"pull of weight_decay_binary {decay:g} is {ratio:.2g} of the gradient at most",
        healthy="≤ 0.1",
        source="BinaryConnect and BNN have none; Larq's XNOR-Net 5e-7",
        advice="It draws latent weights to 0, where signs are noise: set optimizer.weight_decay_binary: 0.",
    )
