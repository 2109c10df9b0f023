"""One program tried: checked, built for one kernel, run, and compared with the reference."""

from __future__ import annotations

import ctypes
import re
import time
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnn_train.errors import BnnError
from bnn_train.packed import PackedModel, canonical, container, load
from bnn_train.packed.engine import writes
from bnn_train.packed.errors import PackedFileError
from bnn_train.packed.limits import memory
from bnn_train.packed.program import BitWeight, Conv, Header, InputScale, Pool, Value
from bnn_train.packed.reference import engine as reference
from fuzz.cases import Case
from fuzz.compare import differing_step, order_is_open, same

Array = NDArray[Any]
Kind = Literal["refused", "unbuilt", "stopped", "valid", "wrong"]
"""Refused by a rule, by the kernels, or at the first call; or run, and right or not."""
MOST_WORK = 2**27
"""Programs that say that they take more products are built and not run."""
MOST_CALLS, MANY_CALLS = 200, 4000
"""Array operations of the reference that a comparison may cost, each some ten microseconds."""
_SOMETIMES = 32
"""One program in so many may cost ``MANY_CALLS``."""


class Outcome(NamedTuple):
    """What became of a program."""

    kind: Kind
    words: str = ""
    """The sentence of a refusal without its numbers, or what is wrong."""
    bytes: int = 0
    """The most that building and running it added to the heap."""
    declared: int = 0
    """What the limits say that it takes."""
    compared: bool = False


class Heap:
    """The process's heap as ``heap.c`` counts it; without that, always 0."""

    def __init__(self) -> None:
        own = ctypes.CDLL(None)
        self._mark = getattr(own, "heap_mark", None)
        self._most = getattr(own, "heap_most", None)
        self._start = 0
        for function in (self._mark, self._most):
            if function is not None:
                function.restype = ctypes.c_int64

    def mark(self) -> None:
        """From here on."""
        self._start = 0 if self._mark is None else self._mark()

    def growth(self) -> int:
        """The most bytes since the mark."""
        return 0 if self._most is None else self._most() - self._start


def attempt(case: Case, kernel: str, heap: Heap, folder: Path | None = None, threads: int = 1) -> Outcome:
    """Try a program. ``folder``: by way of a file there."""
    heap.mark()
    try:
        model = _model(case, kernel, folder, threads)
    except PackedFileError as error:
        return Outcome("refused", kind_of(str(error)), heap.growth())
    except BnnError as error:
        return Outcome("unbuilt", kind_of(str(error)), heap.growth())
    declared = memory(case.header.program)
    work, calls = _cost(case.header)
    if work > MOST_WORK or (kernel == "reference" and calls > MANY_CALLS):
        return Outcome("valid", "", heap.growth(), declared)
    images = case.images()
    try:
        logits = model(images)
    except BnnError as error:
        return Outcome("stopped", kind_of(str(error)), heap.growth(), declared)
    growth = heap.growth()
    if logits.shape != (len(images), len(case.header.classes)) or logits.dtype != np.float32:
        return Outcome("wrong", f"logits are {logits.dtype} {logits.shape}", growth, declared)
    if kernel == "reference" or calls > (MOST_CALLS if case.seed % _SOMETIMES else MANY_CALLS):
        return Outcome("valid", "", growth, declared)
    wrong = _difference(model, model.input(images), logits)
    return Outcome("wrong" if wrong else "valid", wrong or "", growth, declared, True)


def _model(case: Case, kernel: str, folder: Path | None, threads: int) -> PackedModel:
    if folder is None:
        return PackedModel.from_parts(case.header, case.tensors, threads, kernel, case.memory_limit)
    path = folder / "random.bnn"
    path.write_bytes(file_of(case))
    return load(path, threads, kernel, case.memory_limit)


def file_of(case: Case) -> bytes:
    """The bytes of a file with this program, whatever it says."""
    text = canonical.dump(case.header.model_dump(warnings=False))
    return container.assemble(text, case.tensors)


def _difference(model: PackedModel, x: Array, logits: Array) -> str | None:
    """In which way the native kernels' logits are not what the reference allows."""
    truth = reference.build(model.program, model.tensors)
    if same(logits, truth.run(x, 1)):
        return None
    step = differing_step(model, truth, x)
    if not any(order_is_open(step, model.program) for step in model.program.steps):
        return f"logits differ: {step or 'only as a whole'}"
    if step is not None:
        return f"{step} differs"
    return None if same(logits, _step_by_step(model, x)) else "steps alone give other logits"


def _step_by_step(model: PackedModel, x: Array) -> Array:
    values = {0: x}
    for i in range(len(model.program.steps)):
        values.update(model.step(i, values))
    return np.ascontiguousarray(values[model.program.output].reshape(len(x), -1))


def _cost(header: Header) -> tuple[int, int]:
    """Products of one image, and array operations of the reference."""
    values = header.program.values
    work, calls = 0, len(header.program.steps)
    for step in header.program.steps:
        if isinstance(step, Conv | Pool | InputScale):
            taps = step.geometry.kernel[0] * step.geometry.kernel[1]
            to = values[next(iter(writes(step)))]
            inner = values[step.input].channels // step.geometry.groups if isinstance(step, Conv) else 1
            work += taps * to.height * to.width * to.channels * inner
            calls += taps * (_operations(step, values[step.input]) if isinstance(step, Conv) else 1)
    pixels = header.images.height * header.images.width * header.images.channels
    for pre in header.images.preprocess:
        taps = int(pre.options.get("kernel", 1)) ** 2
        work += pixels * (pixels if pre.kind == "zca" else taps)
        calls += taps // 4
    return work, calls


def _operations(step: Conv, source: Value) -> int:
    """Array operations of the reference for one tap of a convolution."""
    groups = step.geometry.groups
    if source.code is None or not isinstance(step.weight, BitWeight):
        return groups
    words = -(-source.channels // groups // 64)
    return groups * len(source.code.values) * len(step.weight.code.values) * words


def kind_of(sentence: str) -> str:
    """A sentence without the numbers and names that tell one program's from another's."""
    plain = sentence.rpartition(".bnn: ")[2]
    plain = re.sub(r"\(\w+ \w+\)|tensor \w+|(conv|map|pool|k|skip|mean|copy)\d+", "…", plain)
    return re.sub(r"-?\d[\d.e+×]*", "N", plain)[:100]


def timed(case: Case, kernel: str, heap: Heap, folder: Path | None, threads: int) -> tuple[Outcome, float]:
    """``attempt`` and its seconds."""
    begin = time.perf_counter()
    return attempt(case, kernel, heap, folder, threads), time.perf_counter() - begin
