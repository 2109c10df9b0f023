"""Where the time of training steps goes: by phase, by layer and by operation."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function

from bnn_train.binary.layers import BinaryLayer
from bnn_train.check.subject import Batch, Subject
from bnn_train.training.loop import groups
from bnn_train.training.setup import Learner
from bnn_train.training.step import PHASES, Kept, training_step

WARM_UP = 3
"""Steps before the clock runs."""
DATA, REST = "data", "rest"
_LAYER, _BACKWARD = "layer ", "autograd::engine::evaluate_function: "


@dataclass(frozen=True)
class StepTimes:
    """Milliseconds of a step. The step itself is timed without a profiler, the parts with one."""

    images: int
    """Of a step."""
    step: float
    """The median."""
    phases: dict[str, float]
    """Data, then ``step.PHASES``, then the rest."""
    layers: dict[str, tuple[float, float]]
    """Forward and backward, by the layer's name and class, in the order of computation; last what is of no
    layer."""
    operations: tuple[tuple[str, float, float], ...]
    """Name, milliseconds and calls, by time without that of others inside; all of them."""


def step_times(subject: Subject, steps: int) -> StepTimes:
    """Train a copy of the network for some steps, as a run would, and time them. Nothing is written."""
    learner = subject.learner()
    steps_of = _Steps(subject, learner)
    for _ in range(WARM_UP):
        steps_of.one()
    plain = [steps_of.timed() for _ in range(steps)]
    activities = [ProfilerActivity.CPU]
    if subject.device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with _labelled(learner.model), profile(activities=activities) as seen:
        for _ in range(steps):
            steps_of.one()
    return _read(seen, steps, 1e3 * statistics.median(plain), steps_of.images, subject.device)


class _Steps:
    """Training steps one after the other, from the position of the subject on."""

    def __init__(self, subject: Subject, learner: Learner) -> None:
        self.subject, self.learner, self.kept = subject, learner, Kept(learner.model)
        self.done = subject.progress.step
        self.images = 0
        self._groups = self._endless()
        learner.model.train()
        learner.optimizers.set_rate(subject.experiment.optimizer.lr, subject.progress.epochs_finished)

    def _endless(self) -> Iterator[list[Batch]]:
        for epoch in count(self.subject.progress.epochs_finished):
            batches = self.subject.data.train_batches(epoch, mix=True)
            yield from groups(batches, self.subject.experiment.training.accumulate)

    def one(self) -> None:
        with record_function(DATA):
            group = next(self._groups)
        self.images = max(self.images, sum(len(labels) for _, labels in group))
        clip = self.subject.experiment.training.clip_grad_norm
        training_step(self.learner, self.kept, group, position=self.subject.position(self.done), clip=clip)
        self.done += 1

    def timed(self) -> float:
        """Seconds of a step, the device's queue emptied."""
        begun = time.perf_counter()
        self.one()
        if self.subject.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - begun


@contextmanager
def _labelled(model: nn.Module) -> Iterator[None]:
    """The forward pass of every layer is a range of its name for the profiler."""
    open_ranges: list[Any] = []

    def enter(name: str) -> None:
        open_ranges.append(record_function(_LAYER + name))
        open_ranges[-1].__enter__()

    with ExitStack() as stack:
        for name, module in model.named_modules():
            if _is_layer(model, name, module):
                told = f"{name} {type(module).__name__}"
                before = module.register_forward_pre_hook(lambda *_, told=told: enter(told))
                after = module.register_forward_hook(lambda *_: open_ranges.pop().__exit__(None, None, None))
                stack.callback(before.remove)
                stack.callback(after.remove)
        yield


def _is_layer(model: nn.Module, name: str, module: nn.Module) -> bool:
    """A binary layer, or another module without children that is not inside one."""
    parents = name.split(".")[:-1]
    inside = any(
        isinstance(model.get_submodule(".".join(parents[: i + 1])), BinaryLayer) for i in range(len(parents))
    )
    if inside or isinstance(module, nn.Identity):
        return False
    return isinstance(module, BinaryLayer) or not any(True for _ in module.children())


def _read(seen: profile, steps: int, step: float, images: int, device: torch.device) -> StepTimes:
    on_device = device.type == "cuda"

    def spent(event: Any) -> float:
        """Milliseconds a step."""
        total = event.device_time_total if on_device else event.cpu_time_total
        return float(total) / 1e3 / steps

    events: list[Any] = list(seen.events() or ())  # type: ignore[no-untyped-call]  # in torch
    phases: dict[str, float] = defaultdict(float)
    forward: dict[str, float] = defaultdict(float)
    backward: dict[str, float] = defaultdict(float)
    layer_of: dict[int, str] = {}
    for event in events:
        if event.name in (DATA, *PHASES):
            phases[event.name] += spent(event)
        elif event.name.startswith(_LAYER):
            name = event.name.removeprefix(_LAYER)
            forward[name] += spent(event)
            layer_of |= {inner.sequence_nr: name for inner in _within(event) if inner.sequence_nr >= 0}
    for event in events:
        if event.name.startswith(_BACKWARD):
            backward[layer_of.get(event.sequence_nr, REST)] += spent(event)
    named = {name: (forward[name], backward[name]) for name in forward}
    others = (
        phases["forward"] - sum(forward.values()),
        phases["backward"] - sum(backward[name] for name in forward),
    )
    told = {name: phases[name] for name in (DATA, *PHASES)}
    return StepTimes(
        images=images,
        step=step,
        phases=told | {REST: max(0.0, step - sum(told.values()))},
        layers=named | {REST: (max(0.0, others[0]), max(0.0, others[1]))},
        operations=tuple(_operations(seen, steps, on_device=on_device)),
    )


def _within(event: Any) -> Iterator[Any]:
    for child in event.cpu_children:
        yield child
        yield from _within(child)


def _operations(seen: profile, steps: int, *, on_device: bool) -> list[tuple[str, float, float]]:
    own = "self_device_time_total" if on_device else "self_cpu_time_total"
    found = [
        (str(one.key), float(getattr(one, own)) / 1e3 / steps, one.count / steps)
        for one in seen.key_averages()
        if not str(one.key).startswith((_LAYER, _BACKWARD)) and one.key not in (DATA, *PHASES)
    ]
    return sorted(found, key=lambda one: -one[1])
