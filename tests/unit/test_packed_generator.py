"""Random programs at the edges of the format's rules: each is refused in a sentence, or runs on every kernel
within its memory and gives what the reference gives."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnn_train.errors import BnnError
from bnn_train.packed import build, native_library
from bnn_train.packed import kernels as selection
from bnn_train.packed.errors import PackedFileError
from bnn_train.packed.preprocess_rules import KINDS
from bnn_train.packed.program import Planes, Prelu
from bnn_train.packed.validate import check
from fuzz.attempt import Way, attempt
from fuzz.cases import Case, generate
from fuzz.heap import Heap
from fuzz.libraries import FAST_BUILD, Libraries, plain, sanitized
from fuzz.watch import Found, Plan, batches
from native_kernels import kernels  # noqa: F401  # a fixture

SEEDS = range(900)
LINES, ACTIVATIONS = ("activation", "stream"), ("none", "relu", "hardtanh", "sigmoid", "prelu")
DYING = """
import json, os, pathlib, sys, time
progress, first, end, names, library, memory, slowness = sys.argv[1:]
for seed in range(int(first), int(end)):
    pathlib.Path(progress).write_text(f"{seed:20d}")
    if seed == 5:
        os.abort()
    if seed == 8:
        time.sleep(60)
    counts = {"counts": {str(seed): 1}, "sentences": {}, "failures": [], "worst": {}}
    if seed != 4:  # counted only by a worker that does not die after it
        print(json.dumps({"end": seed + 1, **counts}), flush=True)
    elif int(end) == 5:
        print(json.dumps({"end": 5, **counts}), flush=True)
"""


@cache
def cases() -> tuple[Case, ...]:
    return tuple(map(generate, SEEDS))


def tried(plan: Plan, seeds: range) -> Found:
    found = Found.nothing()
    for _, batch in batches(plan, seeds.start, len(seeds), 1):
        found.add(batch._asdict())
    return found


def test_a_seed_always_makes_the_same_program() -> None:
    for case in cases()[:40]:
        again = generate(case.seed)
        assert again.header == case.header
        assert all(np.array_equal(again.tensors[name], t, equal_nan=True) for name, t in case.tensors.items())
        assert np.array_equal(again.images(2), case.images(2))


def test_most_programs_keep_the_rules() -> None:
    good = 0
    for case in cases():
        try:
            check(case.header, case.tensors, case.memory_limit)
        except PackedFileError:
            continue
        good += 1
    assert good > len(SEEDS) // 2


def words(step: Any) -> Iterator[str]:
    """The words of a step, field by field."""
    yield step.op
    for part, fields in (("weight", "kind"), ("epilogue", "activation stream"), ("", "kind ceil")):
        owner = getattr(step, part, None) if part else step
        found = {f: getattr(owner, f) for f in fields.split() if hasattr(owner, f)}
        yield from (f"{step.op} {f} {'prelu' if isinstance(w, Prelu) else w}" for f, w in found.items())


def test_programs_reach_the_edges() -> None:
    """Every kind of step, weight, value and preprocessing, every line of the epilogue, extreme windows."""
    found: Counter[str] = Counter()
    for case in cases():
        for step in case.header.program.steps:
            found.update(words(step))
            found.update(edges(step))
        found.update(f"preprocess {p.kind}" for p in case.header.images.preprocess)
        found.update(
            f"{v.code.__class__.__name__} {v.code.planes}" for v in case.header.program.values if v.code
        )
        found.update(digits(v.code) for v in case.header.program.values)
    wanted = {
        *("conv", "map", "pool", "input_scale", "subsample", "mean", "groups"),
        *("concat", "channels", "gate", "gate of the map"),
        *(f"conv kind {kind}" for kind in ("bits", "int", "f32", "bf16")),
        *(f"preprocess {kind}" for kind in KINDS),
        *(f"{op} {line} {name}" for op in ("conv", "map") for line in LINES for name in ACTIVATIONS),
        *(f"{kind} {p}" for kind in ("Code", "Planes") for p in range(1, 9)),
        *(f"digits {p}" for p in (2, 3)),
        "factors of weights",
        "factors of inputs",
        "factors of both",
        *("kernel", "stride", "padding", "dilation", "pool kind average", "pool kind max", "pool ceil True"),
        *("itself", "residual", "input scale", "bias of classes"),
    }
    assert wanted <= set(found), wanted - set(found)


def digits(code: Any) -> str:
    return f"digits {code.count}" if isinstance(code, Planes) and code.digits else ""


def edges(step: Any) -> Iterator[str]:
    geometry, e = getattr(step, "geometry", None), getattr(step, "epilogue", None)
    if geometry is not None:
        most = {"kernel": 1000, "stride": 2**23, "padding": 2**14, "dilation": 2**14}
        yield from (name for name, bound in most.items() if max(getattr(geometry, name)) >= bound)
        if geometry.groups > 1:
            yield "groups"
    if getattr(step, "input_factors", None) is not None:
        yield "factors of both" if getattr(step.weight, "factors", None) else "factors of inputs"
    elif getattr(getattr(step, "weight", None), "factors", None) is not None:
        yield "factors of weights"
    if e is not None:
        yield from (
            name
            for name in ("residual", "input scale", "gate")
            if getattr(e, name.replace(" ", "_")) is not None
        )
        if step.input in (e.residual, e.input_scale):
            yield "itself"
        if step.input == e.gate:
            yield "gate of the map"
        if e.bias is not None and step.op == "conv":
            yield "bias of classes"


def plain_libraries(folder: Path) -> Libraries:
    try:
        return plain(folder)
    except BnnError as error:
        pytest.skip(str(error))


def test_programs_are_refused_or_right(tmp_path: Path, kernels: tuple[str, ...]) -> None:  # noqa: F811
    plan = Plan(plain_libraries(tmp_path), (*kernels, "reference"), seconds=30)
    found = tried(plan, range(1960, 2160))
    assert found.failures == []
    assert found.counts["valid"] > 100
    assert found.counts["compared with the reference"] > 60


@pytest.mark.slow  # compiles the kernels once more
def test_programs_under_the_sanitizers(tmp_path: Path) -> None:
    try:
        libraries = sanitized(tmp_path, FAST_BUILD)
    except BnnError as error:
        pytest.skip(f"no sanitizer here: {error}")
    plan = Plan(libraries, selection.NAMES[1:], seconds=60, slowness=30)
    found = tried(plan, range(1000, 1100))
    assert found.failures == []
    assert found.counts["valid"] > 40


def test_programs_on_another_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NEON under emulation. BNN_ARM_PYTHON: a command that runs an aarch64 Python with numpy and pydantic,
    such as ``qemu-aarch64-static -L ROOT ROOT/usr/bin/python3.11``."""
    python, cross = os.environ.get("BNN_ARM_PYTHON"), shutil.which("aarch64-linux-gnu-g++")
    if python is None or cross is None:
        pytest.skip("needs BNN_ARM_PYTHON, an emulated Python's command, and aarch64-linux-gnu-g++")
    monkeypatch.setenv("CXX", cross)
    build.compile_library(
        tmp_path / "kernels.so", ("-fsanitize=undefined", "-fsanitize-undefined-trap-on-error")
    )
    libraries = Libraries(tmp_path / "kernels.so", {}, 0)
    command = (*python.split(), "-m", "fuzz.worker")
    found = tried(Plan(libraries, ("neon",), seconds=300, slowness=100, command=command), range(2000, 2060))
    assert found.failures == []
    assert found.counts["compared with the reference"] > 20


def test_a_worker_that_dies_or_hangs_costs_one_program(tmp_path: Path) -> None:
    script = tmp_path / "worker.py"
    script.write_text(DYING)
    nothing = Libraries(tmp_path / "none.so", {}, 0)
    plan = Plan(nothing, ("portable",), seconds=1, command=(sys.executable, str(script)))
    found = tried(plan, range(12))
    assert [(f["seed"], f["what"].partition(":")[0]) for f in found.failures] == [
        (5, "exit -6"),
        (8, "timeout"),
    ]
    assert found.counts == {"failed": 2, **{str(seed): 1 for seed in range(12) if seed not in (5, 8)}}


@pytest.mark.usefixtures("kernels")
def test_a_wrong_sum_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = native_library.Library.run

    def off(self: Any, handle: int, x: int, n: int, y: int, *rest: Any) -> None:
        right(self, handle, x, n, y, *rest)
        ctypes.c_uint32.from_address(y).value ^= 1 << 20

    outcomes = [attempt(case, Way("portable"), Heap(), tmp_path) for case in cases()[:60]]
    monkeypatch.setattr(native_library.Library, "run", off)
    changed = [attempt(case, Way("portable"), Heap(), tmp_path) for case in cases()[:60]]
    assert "wrong" not in {outcome.kind for outcome in outcomes}
    compared = [c.kind for o, c in zip(outcomes, changed, strict=True) if o.compared]
    assert compared.count("wrong") > 0.8 * len(compared) > 10
