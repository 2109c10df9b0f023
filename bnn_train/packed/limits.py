"""How much memory and work a program asks for, told before any is spent. Python's whole numbers do not
overflow."""

from __future__ import annotations

from bnn_train.packed.engine import last_reads, value_bytes, writes
from bnn_train.packed.errors import PackedFileError
from bnn_train.packed.graph import title
from bnn_train.packed.program import Conv, InputScale, Pool, Program, Step

MEMORY_LIMIT = 2**30
"""Bytes that the values of one image may take at a time."""
MAX_TAPS = 2**16
MAX_WORK = 2**42
"""Products for one image; ResNet-152 at 224² takes 2³³·⁵."""


def memory(program: Program) -> int:
    """Bytes of the values of one image that are alive at the same time, at most."""
    last = last_reads(program)
    sizes = [value_bytes(value) for value in program.values]
    alive, most = sizes[0], 0
    live = {0}
    for i, step in enumerate(program.steps):
        live |= set(writes(step))
        alive += sum(sizes[v] for v in writes(step))
        most = max(most, alive)
        done = {v for v in live if last.get(v, -1) <= i}
        alive -= sum(sizes[v] for v in done)
        live -= done
    return most


def check_limits(program: Program, memory_limit: int) -> None:
    """Raises PackedFileError for a program beyond the limits."""
    needed = memory(program)
    if needed > memory_limit:
        raise PackedFileError(
            f"one image takes {needed} bytes; the limit is {memory_limit}: raise memory_limit"
        )
    total = 0
    for i, step in enumerate(program.steps):
        taps, work = _window(step, program)
        total += work
        if taps > MAX_TAPS:
            raise PackedFileError(
                f"{title(i, step)}: a window of {taps} taps; at most {MAX_TAPS} are allowed"
            )
    if total > MAX_WORK:
        raise PackedFileError(f"one image takes {total} products; at most {MAX_WORK} are allowed")


def _window(step: Step, program: Program) -> tuple[int, int]:
    """Taps of a step's window and what they cost."""
    if not isinstance(step, Conv | Pool | InputScale):
        return 1, 0
    taps = step.geometry.kernel[0] * step.geometry.kernel[1]
    written = next(program.values[v] for v in writes(step))
    work = written.height * written.width * written.channels * taps
    if isinstance(step, Conv):
        work *= program.values[step.input].channels // step.geometry.groups
    return taps, work
