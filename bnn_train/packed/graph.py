"""The program as a graph: every index known, every value written once and before it is read, types that a
step takes."""

from __future__ import annotations

from bnn_train.packed.engine import reads, writes
from bnn_train.packed.errors import PackedFileError
from bnn_train.packed.program import Code, Conv, Map, Planes, Program, Step, Value


def title(i: int, step: Step) -> str:
    """The name of a step in messages."""
    return f"step {i} ({step.op} {step.layer})"


def check_graph(program: Program) -> None:
    """Raises PackedFileError; afterwards every index of the program is good."""
    for i, value in enumerate(program.values):
        _check_value(i, value)
    written = {0}
    for i, step in enumerate(program.steps):
        _check_results(title(i, step), step)
        _check_order(title(i, step), step, written, len(program.values))
        written.update(writes(step))
    missing = sorted(set(range(len(program.values))) - written)
    if missing:
        raise PackedFileError(f"value {missing[0]}: no step writes it")
    if program.output not in written:
        raise PackedFileError(
            f"the output is value {program.output} of {len(program.values)}; there is no such value"
        )
    if program.output == 0:
        raise PackedFileError("the output is value 0, the input; a step must write it")


def _check_value(i: int, value: Value) -> None:
    if (value.type == "bits") != (value.code is not None):
        raise PackedFileError(f"value {i}: a code belongs to bits and only to them; it is {value.type}")
    if (value.type == "u8") and i != 0:
        raise PackedFileError(f"value {i}: only the input, value 0, may be u8")
    if i == 0 and value.type == "bits":
        raise PackedFileError("value 0: the input is u8 or f32, not bits")
    if value.code is not None:
        check_code(f"value {i}", value.code)


def check_code(where: str, code: Code | Planes) -> None:
    """Every sum of a code's signs must divide without remainder."""
    if isinstance(code, Planes):
        if code.digits and code.count == 1:
            raise PackedFileError(f"{where}: the digit of one plane is its threshold; leave digits out")
        return
    total = code.offset + sum(code.values)
    if total % code.denominator or any(2 * v % code.denominator for v in code.values):
        raise PackedFileError(f"{where}: its code's numbers are not whole; choose another denominator")


def _check_results(where: str, step: Step) -> None:
    if not isinstance(step, Conv | Map):
        return
    if not writes(step):
        raise PackedFileError(f"{where}: it writes no value")
    if (step.bits is None) != (step.thresholds is None):
        raise PackedFileError(f"{where}: bits and thresholds belong together; one is missing")


def _check_order(where: str, step: Step, written: set[int], count: int) -> None:
    for i in (*reads(step), *writes(step)):
        if i >= count:
            raise PackedFileError(f"{where}: it names value {i} of {count}; there is no such value")
    for i in reads(step):
        if i not in written:
            raise PackedFileError(f"{where}: it reads value {i} before a step wrote it")
    for i in writes(step):
        if i in written or writes(step).count(i) > 1:
            raise PackedFileError(f"{where}: it writes value {i}, which is written already")
