"""The loss of an untrained network against that of guessing, and the overfitting of one batch."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator

import torch
from torch import Tensor

from bnn_train.check.line import Line, judge, percent
from bnn_train.check.steps import one_step
from bnn_train.check.subject import Subject
from bnn_train.training.losses import criterion

STEPS = 60
IMAGES, FEW = 100, 32
"""Learned at once, and how many it takes for a verdict of wrong."""
LEARNED = (0.5, 0.15)
"""Of what the answer that is right most often leaves over: enough, and too little to be more than luck."""


def beginning(s: Subject) -> Iterator[Line]:
    """The loss of the untrained network."""
    s.seed("beginning")
    model = s.copy()
    images, labels = s.batch(s.affordable(1, least=16))
    with torch.no_grad():
        logits = model(images).float()
        loss = float(criterion(s.experiment.loss)(logits, labels))
    started = s.experiment.training.init_from
    if s.checkpoint is None and started is not None:
        yield _started(loss, started.checkpoint)
    elif s.checkpoint is None:
        yield _fresh(s, loss, float(logits.std()))
    else:
        yield _trained(s, loss, _right(logits, labels), _common(labels))


def _right(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(dim=1) == labels).double().mean())


def _common(labels: Tensor) -> float:
    """The score of the answer that is right most often."""
    return float(labels.bincount().max() / len(labels))


def _fresh(s: Subject, loss: float, spread: float) -> Line:
    zero, normal = criterion(s.experiment.loss).guess(len(s.data.classes))
    low, high = 0.9 * zero, 1.3 * normal
    return Line(
        name="first loss",
        verdict=judge(loss, ok=(low, high), look=(0.5 * zero, sys.float_info.max)),
        measured=f"{loss:.4g}; logits spread by {spread:.3g}",
        healthy=f"{low:.3g} to {high:.3g}",
        source=f"guessing among {len(s.data.classes)} classes costs {zero:.4g} with logits 0, {normal:.4g}"
        " with N(0, 1)",
        advice="Far above: logits are too large, give the output a norm (method.block.output_norm) or the"
        " last layer smaller weights; below: labels leak, or the network is not fresh.",
    )


def _started(loss: float, source: str) -> Line:
    """Weights of another run, of another method perhaps: neither guessing nor what that run reached."""
    return Line(
        name="first loss",
        verdict=judge(loss, ok=(0, sys.float_info.max), look=(0, sys.float_info.max)),
        measured=f"{loss:.4g}, with the weights of {source}",
        healthy="finite; how far weights of another run carry, nobody can say",
        source="training.init_from",
        advice="NaN or infinity: look at the weights that it starts from.",
    )


def _trained(s: Subject, loss: float, right: float, common: float) -> Line:
    """A network that tells classes apart may cost more than one that gives all images the same small logits:
    a binary one at 94 % costs 0.53 under the squared hinge, the class prior 0.36."""
    loss_of, classes = criterion(s.experiment.loss), len(s.data.classes)
    zero, least = loss_of.guess(classes)[0], loss_of.prior(classes)
    enough = common + LEARNED[1] * (1 - common)
    learned = right >= enough
    most = sys.float_info.max if learned or not s.progress.epochs_finished else 1.1 * zero
    return Line(
        name="loss",
        verdict=judge(loss, ok=(0, 1.1 * zero if learned else 0.9 * least), look=(0, most)),
        measured=f"{loss:.4g}, top-1 {percent(right)} on a training batch after step {s.progress.step}",
        healthy=f"under {0.9 * least:.3g}, or under {1.1 * zero:.3g} with top-1 ≥ {percent(enough)}",
        source=f"the same answer to every image costs at least {least:.3g}, logits 0 cost {zero:.3g}",
        advice="The logits grow too large: look at the output's norm and the rate."
        if learned
        else "The run has learned nothing yet, or how often each class comes at most: look at flips,"
        " gradient and the rate.",
    )


def overfitting(s: Subject, steps: int = STEPS) -> Iterator[Line]:
    """Some steps on one fixed batch, at the config's highest rate."""
    learner, e, position = s.learner(), s.experiment, s.position()
    images, labels = s.batch(min(IMAGES, s.affordable(steps, least=16)))
    learner.optimizers.set_rate(e.optimizer.lr, 0)
    loss = math.nan
    for number in range(steps):
        s.seed(f"by heart {number}")
        loss = one_step(learner, images, labels, position=position, clip=e.training.clip_grad_norm)
    with torch.no_grad():
        right = _right(learner.model(images), labels)
    common = _common(labels)
    good, least = (common + share * (1 - common) for share in LEARNED)
    verdict = judge(right, ok=(good, 1), look=(least if len(labels) >= FEW else 0, 1))
    yield Line(
        name="overfits one batch",
        verdict=verdict,
        measured=f"top-1 {percent(right)}, loss {loss:.3g} after {steps} steps on {len(images)} images",
        healthy=f"≥ {percent(good)}; always the same answer scores {percent(common)}",
        advice="What cannot fit one batch will not learn the set: see the lines above first, then try another"
        " optimizer.lr; a large batch or dropout may need more steps.",
    )
