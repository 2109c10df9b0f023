"""The static memory plan: which steps run as one, and where each value lies while it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bnn_train.packed.engine import reads, writes
from bnn_train.packed.program import Conv, Map, Pool, Program, Step, Value

IMAGE = -1
"""The image, where value 0 is what a preprocessing makes of it."""


@dataclass(frozen=True)
class Job:
    """A step, and the pooling of its bits that is done with it, so that the larger map never exists."""

    index: int
    step: Step
    pool: Pool | None = None

    @property
    def written(self) -> tuple[int, ...]:
        """The values that it leaves."""
        return writes(self.step) if self.pool is None else (self.pool.output,)


@dataclass(frozen=True)
class Plan:
    """The jobs in order, and the place of every value that is kept, in words."""

    jobs: tuple[Job, ...]
    places: dict[int, int]
    words: int
    sizes: dict[int, int]


def planned(program: Program, prepares: bool, head: bool) -> Plan:
    """``prepares``: pixels go through a preprocessing; ``head``: the last step's result is not kept."""
    jobs = _jobs(program)
    sizes, spans = _spans(program, jobs, prepares)
    if head:
        del sizes[program.output], spans[program.output]
    orders = (
        sorted(spans, key=lambda v: (-sizes[v], spans[v])),
        sorted(spans, key=lambda v: (spans[v][0], -sizes[v])),
        sorted(spans, key=lambda v: (spans[v][0] - spans[v][1], -sizes[v])),
    )
    tried = [_placed(order, sizes, spans) for order in orders]
    places = min(tried, key=lambda found: _end(found, sizes))
    return Plan(tuple(jobs), places, _end(places, sizes), sizes)


def _jobs(program: Program) -> list[Job]:
    readers: dict[int, list[Step]] = {}
    for step in program.steps:
        for v in reads(step):
            readers.setdefault(v, []).append(step)
    jobs, done = [], set[int]()
    for i, step in enumerate(program.steps):
        pool = _fused(step, readers)
        if pool is not None:
            done.add(pool.output)
        if not (isinstance(step, Pool) and step.output in done):
            jobs.append(Job(i, step, pool))
    return jobs


def _fused(step: Step, readers: dict[int, list[Step]]) -> Pool | None:
    """The one reader of a step's bits, if it pools windows that do not overlap: nothing is computed twice."""
    if not isinstance(step, Conv | Map) or step.bits is None or step.output is not None:
        return None
    following = readers.get(step.bits, [])
    if len(following) != 1 or not isinstance(following[0], Pool):
        return None
    g = following[0].geometry
    apart = g.stride[0] >= g.kernel[0] and g.stride[1] >= g.kernel[1] and g.dilation == (1, 1)
    return following[0] if apart else None


Span = tuple[int, int]
"""The first and the last job during which a value is needed, both included."""


def _spans(program: Program, jobs: Sequence[Job], prepares: bool) -> tuple[dict[int, int], dict[int, Span]]:
    spans: dict[int, Span] = {0: (-1, -1)}
    for at, job in enumerate(jobs):
        for v in job.written:
            spans[v] = (at, at)
        for v in reads(job.step):
            spans[v] = (spans[v][0], at)
    if program.output in spans:
        spans[program.output] = (spans[program.output][0], len(jobs))
    sizes = {v: words_of(program.values[v]) for v in spans}
    if prepares:
        image = program.values[0]
        sizes[IMAGE] = -(-image.height * image.width * image.channels // 4)
        spans[IMAGE] = (-1, -1)
    return sizes, spans


def words_of(value: Value) -> int:
    """Of 32 bits, for one image."""
    pixels = value.height * value.width
    if value.code is not None:
        return pixels * value.code.planes * -(-value.channels // 32)
    numbers = pixels * value.channels
    return numbers if value.type == "f32" else -(-numbers // 4)


def _placed(order: Sequence[int], sizes: dict[int, int], spans: dict[int, Span]) -> dict[int, int]:
    """Every value at the lowest place that is free as long as it is needed."""
    places: dict[int, int] = {}
    for v in order:
        rivals = sorted(
            (places[other], places[other] + sizes[other])
            for other in places
            if spans[other][0] <= spans[v][1] and spans[v][0] <= spans[other][1]
        )
        at = 0
        for begin, end in rivals:
            if begin - at >= sizes[v]:
                break
            at = max(at, end)
        places[v] = at
    return places


def _end(places: dict[int, int], sizes: dict[int, int]) -> int:
    return max((at + sizes[v] for v, at in places.items()), default=1)
