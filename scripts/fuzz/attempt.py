"""One program tried: checked, built for one kernel, run, and compared with the reference."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnn_train.errors import BnnError
from bnn_train.packed import PackedModel, container, load, strict_json
from bnn_train.packed.errors import PackedFileError
from bnn_train.packed.limits import work
from bnn_train.packed.reference import engine as reference
from fuzz.cases import Case
from fuzz.compare import differing_step, order_is_open, same
from fuzz.cost import Cost, cost
from fuzz.draw import Draw
from fuzz.heap import Heap

Array = NDArray[Any]
Kind = Literal["refused", "unbuilt", "stopped", "valid", "wrong"]
"""Refused by a rule, by the kernels, or at the first call; or run, and right or not."""
MOST_WORK, LITTLE_WORK = 2**27, 2**22
"""Programs that take more products are built and not run: one in ``_RARE`` may take the most."""
MOST, FEW = 4000, 200
"""Operations of the reference that one program in ``_RARE`` may cost, and that any may."""
_RARE = 32
_LANES = 16
"""The limits count a map of one channel as one of so many, which is how the kernels work."""


class Way(NamedTuple):
    """The way of trying a program."""

    kernel: str
    threads: int = 1
    file: bool = False
    """By way of a file."""
    images: int = 1
    again: bool = False
    """A second call, with one image."""
    steps: bool = False
    """Every step alone, too."""
    operations: int = FEW
    """Those that the comparison with the reference may cost."""
    work: int = MOST_WORK
    """Products that a program which is run may take."""


class Outcome(NamedTuple):
    """The outcome of a program."""

    kind: Kind
    words: str = ""
    """The sentence of a refusal without its numbers, or what is wrong."""
    bytes: int = 0
    """The most that it added to the heap."""
    cost: Cost = Cost(0, 0)
    compared: bool = False


def way_of(seed: int, kernels: list[str]) -> Way:
    """The way of trying a seed's program, on which the program itself does not depend."""
    draw = Draw(~seed)
    kernel = draw.one(kernels)
    threads = draw.one((2, 3, 8, 33)) if draw.often(0.02) and kernel != "reference" else 1
    images = draw.one((31, 33, 129, 300)) if draw.often(0.02) else 1 + draw.below(3)
    operations = MOST if draw.below(_RARE) == 0 else FEW
    ways = draw.often(0.12), draw.often(0.25), draw.often(0.1)
    work = MOST_WORK if draw.below(_RARE) == 0 else LITTLE_WORK
    return Way(kernel, threads, ways[0], images, ways[1], ways[2], operations, work)


def attempt(case: Case, way: Way, heap: Heap, folder: Path) -> Outcome:
    """Try a program."""
    path = _written(case, folder) if way.file else None
    heap.mark()
    try:
        model = _model(case, way, path)
    except PackedFileError as error:
        return Outcome("refused", kind_of(str(error)), heap.growth())
    except BnnError as error:
        return Outcome("unbuilt", kind_of(str(error)), heap.growth())
    own = cost(case.header)
    counted = work(case.header.program) // _LANES
    if max(own.work, counted) > way.work or (way.kernel == "reference" and own.operations > MOST):
        return Outcome("valid", "", heap.growth(), own)
    images = case.images(1 if own.work * way.images > 2**22 else way.images)
    try:
        logits = model(images)
    except BnnError as error:
        return Outcome("stopped", kind_of(str(error)), heap.growth() - images.nbytes, own)
    growth = heap.growth() - images.nbytes
    compared = way.kernel != "reference" and own.operations * max(1, len(images) // 3) <= way.operations
    wrong = _wrong(model, way, images, logits, compared)
    return Outcome("wrong" if wrong else "valid", wrong or "", growth, own, compared)


def _written(case: Case, folder: Path) -> Path | None:
    """The program's file; None for one that no file can hold."""
    path = folder / "random.bnn"
    try:
        path.write_bytes(file_of(case))
    except PackedFileError:
        return None
    return path


def _model(case: Case, way: Way, path: Path | None) -> PackedModel:
    if path is not None:
        return load(path, way.threads, way.kernel, case.memory_limit)
    return PackedModel.from_parts(case.header, case.tensors, way.threads, way.kernel, case.memory_limit)


def file_of(case: Case) -> bytes:
    """The bytes of a file with this program, whatever it says."""
    text = strict_json.dump(case.header.model_dump(warnings=False))
    return container.assemble(text, case.tensors, case.header.version)


def _wrong(model: PackedModel, way: Way, images: Array, logits: Array, compared: bool) -> str | None:
    """The fault of the logits, or None."""
    if logits.shape != (len(images), len(model.header.classes)) or logits.dtype != np.float32:
        return f"logits are {logits.dtype} {logits.shape}"
    if way.again and not _sums_whole_batches(model) and not same(model(images[:1]), logits[:1]):
        return "a call with one image gives it other logits"
    return _difference(model, way, model.input(images), logits) if compared else None


def _sums_whole_batches(model: PackedModel) -> bool:
    """Whether numpy adds real numbers of all images in one operation, in an order of its own."""
    steps = model.header.images.preprocess
    return model.isa == "reference" or any(step.kind in ("gcn", "zca", "lcn") for step in steps)


def _difference(model: PackedModel, way: Way, x: Array, logits: Array) -> str | None:
    """In which way the native kernels' numbers are not what the reference allows."""
    truth = reference.build(model.program, model.tensors)
    if _sums_whole_batches(model):  # a call's own batches may be smaller than x
        logits = model._engine.run(x, way.threads)
    equal = same(logits, truth.run(x, 1))
    if equal and not way.steps:
        return None
    step = differing_step(model, truth, x)
    if step is not None:
        return f"{step} differs"
    if equal:
        return None
    if not any(order_is_open(step, model.program) for step in model.program.steps):
        return "logits differ and no step alone does"
    return None if same(logits, _step_by_step(model, x)) else "steps alone give other logits"


def _step_by_step(model: PackedModel, x: Array) -> Array:
    values = {0: x}
    for i in range(len(model.program.steps)):
        values.update(model.step(i, values))
    return np.ascontiguousarray(values[model.program.output].reshape(len(x), -1))


def kind_of(sentence: str) -> str:
    """A sentence without the numbers and names that tell one program's from another's."""
    plain = sentence.rpartition(".bnn: ")[2]
    plain = re.sub(r"\(\w+ \w+\)|tensor \w+|(conv|map|pool|k|skip|mean|copy)\d+", "…", plain)
    return re.sub(r"-?\d[\d.e+×]*", "N", plain)[:100]


def timed(case: Case, way: Way, heap: Heap, folder: Path) -> tuple[Outcome, float]:
    """``attempt``, and the seconds that the process worked for it."""
    begin = time.process_time()
    return attempt(case, way, heap, folder), time.process_time() - begin
