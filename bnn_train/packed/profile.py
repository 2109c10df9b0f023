"""Where the time of a packed network goes, step by step, and how near each step comes to this machine's
limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed.engine import reads, value_bytes, writes
from bnn_train.packed.ideal_layers import Rates, measured
from bnn_train.packed.operands import BitWeight, IntWeight, RealWeight, adds_in_order, term_count
from bnn_train.packed.program import Conv, Program, Step
from bnn_train.packed.runtime import PackedModel

Array = NDArray[Any]
REPEATS = 30
_NEAR, _FAR = 2**18, 2**24
"""Bytes of arrays whose copies tell how fast maps are read and written, and weights read."""


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """One step of the program on some images."""

    name: str
    kind: str
    output: tuple[int, ...]
    """Channels, height, width of what it writes."""
    seconds: float
    """0 where the step ran with an earlier one, band by band."""
    share: float
    """Of the time of all steps."""
    limited_by: str
    limit: float
    """The seconds that this machine needs at the least for its products, or for its bytes."""

    @property
    def reached(self) -> float | None:
        """How much of the limit's speed; None for a step that ran with another."""
        return self.limit / self.seconds if self.seconds else None

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {**asdict(self), "output": list(self.output), "reached": self.reached}


def profile(model: PackedModel, images: NDArray[np.uint8], repeats: int = REPEATS) -> list[StepTime]:
    """Times of all steps on one thread, the least of some calls with all images at once.

    Raises BnnError for the numpy reference, which is no measure of speed.
    """
    seconds = model.step_times(images, repeats)
    rates = measured(model.isa)
    near, far = _copied(_NEAR), _read(max(_FAR, sum(t.nbytes for t in model.tensors.values())))
    total = float(seconds.sum()) or 1.0
    rows = []
    for step, spent in zip(model.program.steps, seconds.tolist(), strict=True):
        by, limit = _limit(step, model.program, model.tensors, rates, (near, far), len(images))
        value = model.program.values[writes(step)[0]]
        rows.append(
            StepTime(
                name=step.layer,
                kind=step.op,
                output=(value.channels, value.height, value.width),
                seconds=spent,
                share=spent / total,
                limited_by=by,
                limit=limit,
            )
        )
    return rows


def _limit(
    step: Step,
    program: Program,
    tensors: Mapping[str, Array],
    rates: Rates,
    bytes_per_second: tuple[float, float],
    images: int,
) -> tuple[str, float]:
    """The bound of a step, and the time that it takes there."""
    near, far = bytes_per_second
    maps = sum(value_bytes(program.values[v]) for v in {*reads(step), *writes(step)}) * images / near
    if not isinstance(step, Conv):
        return "bytes of maps", maps
    kind, products = _products(step, program, tensors)
    multiplied = images * products / rates.of(kind)
    weights = _weight_bytes(step, kind, tensors) / far
    return ("bytes of weights", weights) if weights > multiplied else (f"{kind} products", multiplied)


def _products(step: Conv, program: Program, tensors: Mapping[str, Array]) -> tuple[str, int]:
    """The kind of product, and how many there are for one image; padded taps count as work."""
    source, result = program.values[step.input], program.values[writes(step)[0]]
    kernel, weight = step.geometry.kernel, step.weight
    count = kernel[0] * kernel[1] * source.channels // step.geometry.groups
    count *= result.height * result.width * result.channels
    if source.code is not None and isinstance(weight, BitWeight):
        return "sign", count * source.code.planes * weight.code.planes
    if isinstance(weight, RealWeight) or (isinstance(weight, BitWeight) and source.type == "f32"):
        return "real", count
    if isinstance(weight, IntWeight) and adds_in_order(source, weight, len(tensors[weight.tensor])):
        return "real", count
    return "byte", count * _digits(weight, tensors)


def _digits(weight: BitWeight | IntWeight, tensors: Mapping[str, Array]) -> int:
    """Bytes of a whole weight, each of them a product."""
    if isinstance(weight, IntWeight):
        return len(tensors[weight.tensor])
    if weight.gain is None:
        return 1
    return max(1, -(-(int(tensors[weight.gain].max()).bit_length() + 1) // 8)) * term_count(weight.code)


def _weight_bytes(step: Conv, kind: str, tensors: Mapping[str, Array]) -> int:
    """As the kernels read them: floats where products are real."""
    stored = tensors[step.weight.tensor]
    if kind != "real" or isinstance(step.weight, RealWeight):
        return stored.nbytes
    return 4 * stored.size * (8 if isinstance(step.weight, BitWeight) else 1)


def _copied(size: int) -> float:
    """Bytes a second, read and written, of a copy of so many bytes."""
    source, target = np.zeros(size // 8, np.int64), np.zeros(size // 8, np.int64)
    return 2 * size / _least(lambda: np.copyto(target, source), 50)


def _read(size: int) -> float:
    """Bytes a second of a sum over so many bytes."""
    source = np.ones(size // 8, np.int64)
    return size / _least(lambda: np.add.reduce(source), 5)


def _least(work: Callable[[], object], turns: int) -> float:
    times = []
    for _ in range(turns):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return max(min(times), 1e-9)


def noise(model: PackedModel, count: int) -> NDArray[np.uint8]:
    """Images for a profile: no kernel takes longer for one than for another."""
    images = model.header.images
    shape = (count, images.height, images.width, images.channels)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
