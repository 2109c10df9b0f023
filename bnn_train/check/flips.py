"""How many weights change sign in a step: too few learn nothing, too many forget it at once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from bnn_train.binary.layers import BinaryLayer, binary_layers
from bnn_train.check.line import Line, Verdict, judge, percent, some, worst
from bnn_train.check.steps import one_step
from bnn_train.check.subject import Subject
from bnn_train.config.schema import Bop, Experiment
from bnn_train.inspect.diagnostics import flip_rates, packed_codes
from bnn_train.training.position import steps_per_epoch
from bnn_train.training.schedules import learning_rate
from bnn_train.training.setup import Learner

STEPS = 20
HEALTHY = (1e-5, 0.05)
BEARABLE = (1e-7, 0.15)
"""Share of a layer's weights a step, at the highest rate. Shipped configs lie between 0.1 and 2.5 %, Bop's
small last layer at 5.5 %; Adam's momentum holds even absurd rates at 5 to 10 %, so see ``REACH`` too."""
DECAYED = 0.5
"""Share of the highest rate under which few flips are no fault: a rate that ends at 0 ends the flips."""

REACH = (0.5, 1.0)
"""Mean step over the clip (over mean |w| without one). BNN's own recipe for MNIST takes 0.025; from 1 on a
single step decides the sign, and the latent weight remembers nothing."""


@dataclass(frozen=True, kw_only=True)
class _Motion:
    """How one layer's latent weights moved in the last step, before they were clipped; means."""

    count: int
    """Weights."""
    size: float
    """|w|."""
    bound: float
    """The clip, or |w| without one."""
    step: float
    """|Δw|."""
    gradient: float
    """|∂L/∂w|."""


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """Some steps on a copy."""

    rates: dict[str, float]
    motions: dict[str, _Motion]
    images: int
    lr: float
    height: float
    """Rate over the schedule's highest, or Bop's γ over its first."""
    decay: float
    """Weight decay of the latent weights, as it stands now."""

    @property
    def least(self) -> tuple[float, float]:
        """Lower ends of ``HEALTHY`` and ``BEARABLE`` at this height."""
        return (0.0, 0.0) if self.height < DECAYED else (HEALTHY[0], BEARABLE[0])


def flips(s: Subject, steps: int = STEPS) -> Iterator[Line]:
    """Share of each binary layer's weights that flip in a step, over some real steps on a copy."""
    learner = s.learner()
    if not list(binary_layers(learner.model)):
        return
    trial, optimizer = _trial(s, learner, steps), s.experiment.optimizer
    yield _line(s.experiment, trial, steps)
    if not isinstance(optimizer.binary, Bop):
        yield _reach(trial.motions)
    if trial.decay:
        yield _decay(trial.decay, trial.motions)


def _trial(s: Subject, learner: Learner, steps: int) -> _Trial:
    most, first = s.affordable(steps, least=16), _position(s)
    totals = {name: 0.0 for name, _ in binary_layers(learner.model)}
    motions: dict[str, _Motion] = {}
    lr = 0.0
    for number, (images, labels) in zip(range(steps), _batches(s), strict=False):
        lr = _rate(s, first + number)
        learner.optimizers.set_rate(lr, s.progress.epochs_finished)
        signs = packed_codes(learner.model)
        before = _weights(learner) if number == steps - 1 else {}
        s.seed(f"flips {number}")
        one_step(
            learner,
            images[:most],
            labels[:most],
            position=s.position(first + number),
            clip=s.experiment.training.clip_grad_norm,
            stepped=lambda before=before: motions.update(_motions(learner, before)),  # type: ignore[misc]  # bound now
        )
        for name, rate in flip_rates(learner.model, signs).items():
            totals[name] += rate / steps
    return _Trial(
        rates=totals,
        motions=motions,
        images=most,
        lr=lr,
        height=_height(s, lr),
        decay=_decay_now(s),
    )


def _weights(learner: Learner) -> dict[str, Tensor]:
    return {name: layer.weight.detach().clone() for name, layer in binary_layers(learner.model)}


def _position(s: Subject) -> int:
    """The step from which the rate is that of the schedule without its warm-up."""
    per_epoch = steps_per_epoch(s.experiment, s.data)
    warmup = math.ceil(s.experiment.schedule.warmup * per_epoch)
    return min(max(s.progress.step, warmup), s.experiment.training.epochs * per_epoch - 1)


def _rate(s: Subject, step: int) -> float:
    e, per_epoch = s.experiment, steps_per_epoch(s.experiment, s.data)
    step = min(step, e.training.epochs * per_epoch - 1)
    return learning_rate(
        e.schedule, e.optimizer.lr, step=step, steps_per_epoch=per_epoch, epochs=e.training.epochs
    )


def _height(s: Subject, lr: float) -> float:
    """Where the flips' own rate stands: γ of Bop, else ``lr``, over the highest at the start of an epoch."""
    e, bop = s.experiment, s.experiment.optimizer.binary
    if isinstance(bop, Bop):
        return float(bop.gamma_decay ** (s.progress.epochs_finished // bop.gamma_every))
    per_epoch = steps_per_epoch(e, s.data)
    return lr / max(lr, *(_rate(s, epoch * per_epoch) for epoch in range(e.training.epochs)))


def _decay_now(s: Subject) -> float:
    optimizer = s.experiment.optimizer
    end = optimizer.weight_decay_epochs
    return optimizer.weight_decay_binary if end is None or s.progress.epochs_finished < end else 0.0


def _batches(s: Subject) -> Iterator[tuple[Tensor, Tensor]]:
    """Training batches without end, epoch after epoch."""
    epoch = s.progress.epochs_finished
    while True:
        yield from s.data.train_batches(epoch)
        epoch += 1


def _motions(learner: Learner, before: dict[str, Tensor]) -> dict[str, _Motion]:
    layers = dict(binary_layers(learner.model))
    return {name: _motion(layers[name], old) for name, old in before.items()}


def _motion(layer: BinaryLayer, old: Tensor) -> _Motion:
    w, clip, size = layer.weight.detach(), layer.method.latent.clip, float(old.abs().mean())
    return _Motion(
        count=w.numel(),
        size=size,
        bound=size if clip is None else clip,
        step=float((w - old).abs().mean()),
        gradient=0.0 if layer.weight.grad is None else float(layer.weight.grad.abs().mean()),
    )


def _line(experiment: Experiment, trial: _Trial, steps: int) -> Line:
    rates, motions, low = trial.rates, trial.motions, trial.least[0]
    least, most = min(rates, key=lambda n: rates[n]), max(rates, key=lambda n: rates[n])
    finite = all(math.isfinite(m.step) for m in motions.values())
    return Line(
        name="flips",
        verdict=_verdict(trial) if finite else "wrong",
        measured=f"{percent(rates[least])} ({least}) to {percent(rates[most])} ({most}) of a layer's weights"
        f" a step; {steps} steps of {trial.images} images at rate {trial.lr:.3g}"
        + ("" if finite else "; latent weights became NaN or infinite"),
        healthy=f"{percent(low)} to {percent(HEALTHY[1])} at the highest rate"
        if low
        else f"≤ {percent(HEALTHY[1])}; few are no fault at {percent(trial.height)} of the highest rate",
        advice=_advice(experiment, trial),
    )


def _verdict(trial: _Trial) -> Verdict:
    """Too fast: any layer. Too slow: all together, and to look at: one with enough weights to tell."""
    rates, motions, least = trial.rates, trial.motions, trial.least
    everything = sum(rates[name] * m.count for name, m in motions.items())
    pooled = judge(
        everything / sum(m.count for m in motions.values()),
        ok=(least[0], HEALTHY[1]),
        look=(least[1], BEARABLE[1]),
    )
    fast = judge(max(rates.values()), ok=(0, HEALTHY[1]), look=(0, BEARABLE[1]))
    slow: Verdict = "look" if _slow(trial) else "ok"
    return worst([pooled, fast, slow])


def _slow(trial: _Trial) -> list[str]:
    """Layers under the band whose number of weights lets them be seen in it."""
    return [
        name
        for name, m in trial.motions.items()
        if trial.rates[name] < trial.least[0] and m.count * STEPS * HEALTHY[0] >= 1
    ]


def _advice(experiment: Experiment, trial: _Trial) -> str:
    rates, motions = trial.rates, trial.motions
    fast = [name for name in rates if rates[name] > HEALTHY[1] or not math.isfinite(motions[name].step)]
    if fast:
        key = "optimizer.binary.gamma" if isinstance(experiment.optimizer.binary, Bop) else "optimizer.lr"
        return f"{some(fast)}: signs swing instead of settling: lower {key}."
    slow = _slow(trial) or [name for name in rates if rates[name] < trial.least[0]]
    return f"{some(slow)}: {_why_frozen(experiment, motions[slow[0]], trial.decay)}" if slow else ""


def _why_frozen(experiment: Experiment, m: _Motion, decay: float) -> str:
    optimizer = experiment.optimizer
    if isinstance(optimizer.binary, Bop):
        threshold = optimizer.binary.threshold
        return f"the averaged gradients stay under the threshold {threshold:g}: lower it, or raise gamma."
    eps = getattr(optimizer, "eps", 0.0)
    if m.gradient < 10 * eps:
        return (
            f"the gradient, {m.gradient:.1g} on average, is lost in the optimizer's eps of {eps:g} (gradients"
            " behind a scale are 1/n as large): lower optimizer.eps, or set method.weight.gain: fan_in."
        )
    if decay * m.size > m.gradient:
        return "weight decay pulls more than the gradient: set optimizer.weight_decay_binary: 0."
    steps = m.size / max(m.step, 1e-30)
    return (
        f"at |Δw| = {m.step:.1g} a step, a weight of {m.size:.1g} needs {steps:,.0f} steps to flip: raise"
        " optimizer.lr, or set method.latent.lr_scale: glorot (BinaryConnect §2.5)."
    )


def _reach(motions: dict[str, _Motion]) -> Line:
    reach = {name: m.step / max(m.bound, 1e-30) for name, m in motions.items()}
    name = max(reach, key=lambda n: reach[n] if math.isfinite(reach[n]) else math.inf)
    return Line(
        name="latent step",
        verdict=judge(reach[name], ok=(0, REACH[0]), look=(0, REACH[1])),
        measured=f"a step moves a latent weight by {reach[name]:.2g} of its range at most ({name})",
        healthy=f"≤ {REACH[0]:g} of the clip, or of mean |w| without one",
        advice="One step decides a sign, and nothing is remembered: lower optimizer.lr (latent.lr_scale"
        " multiplies it), or begin with larger latent weights (method.latent.init).",
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
