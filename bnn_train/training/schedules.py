"""The learning rate as a function of the position in the run, so that a resumed run needs no state."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from bnn_train.config.schema import Schedule


def _step(s: Any, lr: float, t: float, epochs: float) -> float:
    passed = sum(t >= at for at in s.at) if s.at else int(t // s.every)
    return float(lr * s.factor**passed)


def _table(s: Any, lr: float, t: float, epochs: float) -> float:
    return float(s.rates[max(epoch for epoch in s.rates if epoch <= t)])


# name → (section, lr, t in epochs done, epochs in all) → rate
CURVES: dict[str, Callable[[Any, float, float, float], float]] = {
    "constant": lambda s, lr, t, epochs: lr,
    "step": _step,
    "table": _table,
    "exponential": lambda s, lr, t, epochs: lr * (s.end / lr) ** (t / epochs),
    "cosine": lambda s, lr, t, epochs: s.end + (lr - s.end) * (1 + math.cos(math.pi * t / epochs)) / 2,
    "linear": lambda s, lr, t, epochs: lr + (s.end - lr) * t / epochs,
    "poly": lambda s, lr, t, epochs: lr * (1 - t / epochs) ** s.power,
}


def curve_epochs(schedule: Schedule, epochs: int) -> int | None:
    """The length of the schedule's curve in a run of so many epochs; None where it has no such length."""
    return schedule.length(epochs)


def learning_rate(schedule: Schedule, lr: float, *, step: int, steps_per_epoch: int, epochs: int) -> float:
    """The rate of the 0-based ``step``; the config section's docstring gives each formula."""
    t = step / steps_per_epoch
    length = curve_epochs(schedule, epochs)
    at = t if schedule.per == "step" else math.floor(t)
    rate = CURVES[schedule.name](
        schedule, lr, at if length is None else min(at, length), length or epochs or 1
    )
    warmup_steps = schedule.warmup * steps_per_epoch
    return rate * min(1.0, (step + 1) / warmup_steps) if warmup_steps else rate
