"""The layer table of a packed file: weights, MACs and bytes of each step, from its program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from numpy.typing import NDArray

from bnn_train.packed.engine import reads, value_bytes, writes
from bnn_train.packed.operands import BitWeight
from bnn_train.packed.program import Conv, Header, Program, Step

Tensors = Mapping[str, NDArray[Any]]
REAL_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class StepRow:
    """One step of the program."""

    name: str
    kind: str
    output: tuple[int, ...]
    """Channels, height, width of what it writes."""
    bits: int = 0
    """Planes of signs of a stored weight; 0 for real ones."""
    params_binary: int = 0
    params_real: int = 0
    """Weights of a layer that stores no signs."""
    numbers: int = 0
    """Thresholds, factors and sums that stand for batch norms, scales and biases."""
    macs_binary: int = 0
    """Multiply-accumulates of signs with signs, however many planes they take."""
    macs_mixed: int = 0
    macs_real: int = 0
    bytes: int = 0
    """Of its tensors in the file."""
    activations: int = 0
    """Bytes of the values that it reads and writes, for one image."""

    @property
    def macs(self) -> int:
        """For one image."""
        return self.macs_binary + self.macs_mixed + self.macs_real

    @property
    def bytes_real(self) -> int:
        """With weights of 32 bits, and the other numbers as they are."""
        if not self.params_binary + self.params_real:
            return self.bytes
        return REAL_BYTES * (self.params_binary + self.params_real + self.numbers)

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {**asdict(self), "output": list(self.output), "bytes_real": self.bytes_real}


SUMMED = ("params_binary", "params_real", "numbers", "macs_binary", "macs_mixed", "macs_real", "bytes")
LARGEST = ("bits", "activations")


def step_table(header: Header, tensors: Tensors) -> list[StepRow]:
    """A row for every step, after one for the preprocessing where it has tensors. A tensor that two steps
    share is counted at the first."""
    left = dict(tensors)
    rows = list(_preprocessing(header, left))
    return rows + [_row(step, header.program, left) for step in header.program.steps]


def total(rows: list[StepRow]) -> StepRow:
    """The sum of all rows; of bits and activations the largest."""
    sums = {field: sum(getattr(row, field) for row in rows) for field in SUMMED}
    largest = {
        field: max((getattr(row, field) for row in rows), default=0) for field in ("bits", "activations")
    }
    return StepRow(name="total", kind="", output=(), **sums, **largest)


def _preprocessing(header: Header, left: dict[str, NDArray[Any]]) -> Iterator[StepRow]:
    images = header.images
    for step in images.preprocess:
        own = [left.pop(name) for name in step.tensors.values() if name in left]
        if own:
            yield StepRow(
                name="preprocess",
                kind=step.kind,
                output=(images.channels, images.height, images.width),
                numbers=sum(tensor.size for tensor in own),
                bytes=sum(tensor.nbytes for tensor in own),
            )


def _row(step: Step, program: Program, left: dict[str, NDArray[Any]]) -> StepRow:
    value = program.values[writes(step)[0]]
    weights = _weights(step, left) if isinstance(step, Conv) else {}
    own = {name: left.pop(name) for name in list(_names(step.model_dump())) if name in left}
    others = sum(tensor.size for name, tensor in own.items() if name != weights.get("tensor"))
    return StepRow(
        name=step.layer,
        kind=step.op,
        output=(value.channels, value.height, value.width),
        numbers=others,
        bytes=sum(tensor.nbytes for tensor in own.values()),
        activations=sum(value_bytes(program.values[i]) for i in {*reads(step), *writes(step)}),
        **(_counts(step, program, weights) if isinstance(step, Conv) else {}),
    )


def _weights(step: Conv, left: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    return {"tensor": step.weight.tensor, "first": step.weight.tensor in left}


def _counts(step: Conv, program: Program, weights: Mapping[str, Any]) -> dict[str, int]:
    x, y = program.values[step.input], program.values[writes(step)[0]]
    taps = step.geometry.kernel[0] * step.geometry.kernel[1] * (x.channels // step.geometry.groups)
    signs, bits = isinstance(step.weight, BitWeight), 0
    if isinstance(step.weight, BitWeight):
        bits = step.weight.code.planes
    kind = ("macs_real", "macs_mixed", "macs_binary")[signs + (x.type == "bits")]
    count = taps * y.channels if weights["first"] else 0
    own = {"params_binary" if signs else "params_real": count, "bits": bits}
    return {**own, kind: taps * y.channels * y.height * y.width}


def _names(value: Any) -> Iterator[str]:
    """Every text in a step; the names of its tensors are among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _names(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _names(inner)
