"""Engines that take turns in one process, and the statistics of their times."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Engine:
    """One way to compute something, ready to run."""

    name: str
    call: Callable[[], object]
    inner: Callable[[], float] | None = None
    """Seconds that the last call spent in its kernel, by its own count, which then replaces the wall's."""
    deviation: Callable[[], float] | None = None
    """The largest difference of the last call's result from the truth."""
    tolerance: float = 0.0

    def verdict(self) -> str:
        """``exact``, ``within 0.5``, ``unchecked``, or ``WRONG by 3``; runs the engine once."""
        self.call()
        if self.deviation is None:
            return "unchecked"
        difference = self.deviation()
        if not difference <= self.tolerance:  # NaN is wrong, too
            return f"WRONG by {difference:g}"
        return "exact" if difference == 0 else f"within {difference:.2g}"


@dataclass(frozen=True)
class Sample:
    """Seconds of one call in each round."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median time: that which a user meets."""
        return statistics.median(self.rounds)

    @property
    def least(self) -> float:
        """The least time: that of a machine which nobody disturbs."""
        return min(self.rounds)


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
"""``cpu``: what a busy machine gives to others is not counted; for one thread only. OpenVINO's node times are
wall times in any case."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long and how often to measure."""

    rounds: int = 9
    seconds: float = 0.010
    """The least duration of an engine's turn."""
    pause: float = 0.002
    """Between engines; the threads of the last one stop spinning meanwhile."""
    most_calls: int = 2000
    clock: Callable[[], float] = time.perf_counter

    def for_threads(self, threads: int) -> Plan:
        """With a pause that is long enough for OpenMP's threads, which spin for some milliseconds."""
        return replace(self, pause=0.010) if threads > 1 else self


def interleave(engines: Sequence[Engine], plan: Plan) -> dict[str, Sample]:
    """Measure all engines in every round, in random order; a turn begins with one call that isn't counted."""
    counts = {engine.name: _calls(engine, plan) for engine in engines}
    times: dict[str, list[float]] = {engine.name: [] for engine in engines}
    for _ in range(plan.rounds):
        for engine in random.sample(engines, len(engines)):
            time.sleep(plan.pause)
            times[engine.name].append(_turn(engine, counts[engine.name], plan.clock))
    return {name: Sample(tuple(seconds)) for name, seconds in times.items()}


def _turn(engine: Engine, calls: int, clock: Callable[[], float]) -> float:
    """Mean seconds of a call."""
    engine.call()
    if engine.inner is not None:
        total = 0.0
        for _ in range(calls):
            engine.call()
            total += engine.inner()
        return total / calls
    started = clock()
    for _ in range(calls):
        engine.call()
    return (clock() - started) / calls


def _calls(engine: Engine, plan: Plan) -> int:
    """How many calls fill a turn."""
    engine.call()
    started = plan.clock()
    engine.call()
    once = plan.clock() - started
    return max(1, min(plan.most_calls, round(plan.seconds / max(once, 1e-9))))


def ratio(ours: Sample | None, theirs: Sample | None) -> float | None:
    """How many times faster we are: the median of the rounds' ratios. None if either is missing.

    Rounds are paired, so that a slow spell of the machine, which hits both, cancels.
    """
    if ours is None or theirs is None:
        return None
    return statistics.median(b / a for a, b in zip(ours.rounds, theirs.rounds, strict=True))


def best(samples: Mapping[str, Sample], names: Sequence[str]) -> str | None:
    """The fastest of the named engines that were measured, by median."""
    present = [name for name in names if name in samples]
    return min(present, key=lambda name: samples[name].median, default=None)
