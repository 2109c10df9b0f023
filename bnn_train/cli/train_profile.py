"""``bnn-train --profile N``: where the time of N training steps goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from bnn_train.aligned import aligned
from bnn_train.check.step_times import StepTimes, step_times
from bnn_train.check.subject import open_subject
from bnn_train.config.schema import Experiment

SHOWN = 12
"""Operations."""


def profiled(experiment: Experiment, config: Path | None, steps: int) -> str:
    """The tables. Data is read, a copy of the network is trained, nothing is written."""
    subject = open_subject(experiment, None, config)
    times = step_times(subject, steps)
    where = f"{subject.device}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    head = (
        f"{experiment.method.name} {experiment.model.name} on {experiment.data.name}, {where}: {steps} steps"
        f" of {times.images:,} images, {times.step:,.1f} ms each (median),"
        f" {1e3 * times.images / times.step:,.0f} images/s"
    )
    return "\n".join([head, "", *_phases(times), "", *_layers(times), "", *_operations(times)])


def _phases(times: StepTimes) -> Iterator[str]:
    """The rest is of the unprofiled step, so that the profiler's own cost may hide it."""
    total = sum(times.phases.values())
    body = [(name, f"{ms:,.2f}", f"{100 * ms / total:.1f} %") for name, ms in times.phases.items()]
    yield from aligned(("phase", "ms", "share"), body, (0,))


def _layers(times: StepTimes) -> Iterator[str]:
    total = sum(map(sum, times.layers.values()))
    body = [
        (
            *(told.split() if " " in told else (told, "")),
            f"{forward:,.2f}",
            f"{backward:,.2f}",
            f"{100 * (forward + backward) / total:.1f} %",
        )
        for told, (forward, backward) in times.layers.items()
    ]
    yield from aligned(("layer", "kind", "forward ms", "backward ms", "share"), body, (0, 1))


def _operations(times: StepTimes) -> Iterator[str]:
    total = sum(ms for _, ms, _ in times.operations)
    body = [
        (name, f"{ms:,.2f}", f"{100 * ms / total:.1f} %", f"{calls:,.0f}")
        for name, ms, calls in times.operations[:SHOWN]
    ]
    yield from aligned(("operation, without what it calls", "ms", "share", "calls"), body, (0,))
