"""Counts of outcomes, and the worst of them against what the limits allow."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from fuzz.attempt import Outcome, Way
from fuzz.cases import Case

SLACK, OBJECT = 2**20, 2**12
"""Bytes of Python's own objects, which no limit counts: of a program, and of each of its values and steps."""
SECONDS, PER_OPERATION, PER_PRODUCT = 1.0, 1e-4, 2e-7
"""Seconds that a program may take, more for each operation of the reference and each product: several times
what a quiet machine needs."""


class Tally:
    """The outcomes of some programs. ``slowness``: how many times slower sanitizers or an emulator are."""

    def __init__(self, slowness: float = 1.0) -> None:
        self.slowness = slowness
        self.counts: Counter[str] = Counter()
        self.sentences: Counter[str] = Counter()
        self.failures: list[dict[str, Any]] = []
        self.worst: dict[str, list[float]] = {}

    def add(self, case: Case, way: Way, outcome: Outcome, seconds: float) -> None:
        """One more program."""
        self.counts[outcome.kind] += 1
        self.counts[f"{outcome.kind} with a rule broken"] += case.broken is not None
        self.counts["compared with the reference"] += outcome.compared
        if outcome.kind in ("refused", "unbuilt", "stopped"):
            self.sentences[f"{outcome.kind}: {outcome.words}"] += 1
        if outcome.kind == "wrong":
            self.fail(case.seed, way, outcome.words)
        self._memory(case, way, outcome)
        self._time(case, way, outcome, seconds)

    def fail(self, seed: int, way: Way, what: str) -> None:
        """A program whose end is a fault."""
        self.failures.append({"seed": seed, "what": what, **way._asdict()})

    def _memory(self, case: Case, way: Way, outcome: Outcome) -> None:
        """The limit counts the tensors; a refusal may find them too many, and takes no more besides."""
        refused = outcome.kind == "refused"
        held = 0 if refused else sum(tensor.nbytes for tensor in case.tensors.values())
        count = len(case.header.program.values) + len(case.header.program.steps)
        beyond = outcome.bytes + held - case.memory_limit
        if beyond > SLACK + OBJECT * count:
            self.fail(case.seed, way, f"memory: {outcome.bytes} bytes, the limit is {case.memory_limit}")
        self._worst(f"bytes, {outcome.kind}", outcome.bytes, case.seed)
        self._worst(f"bytes beyond the limit, {outcome.kind}", beyond, case.seed)

    def _time(self, case: Case, way: Way, outcome: Outcome, seconds: float) -> None:
        allowed = SECONDS + PER_OPERATION * outcome.cost.operations
        allowed += PER_PRODUCT * outcome.cost.work * way.images
        if seconds > self.slowness * allowed:
            self.fail(case.seed, way, f"time: {seconds:.2f} s where {allowed:.2f} are expected")
        self._worst(f"seconds, {outcome.kind}", seconds, case.seed)
        self._worst("share of the seconds allowed", seconds / allowed / self.slowness, case.seed)

    def _worst(self, name: str, number: float, seed: int) -> None:
        if number > self.worst.get(name, [-1e30])[0]:
            self.worst[name] = [number, seed]

    def line(self, end: int) -> str:
        """As JSON; ``end``: the first seed that it does not count."""
        found = {key: getattr(self, key) for key in ("counts", "sentences", "failures", "worst")}
        return json.dumps({"end": end, **found})
