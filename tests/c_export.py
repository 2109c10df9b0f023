"""Programs written as C, compiled strictly and run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bnn_train.export.targets.c.target import TARGET
from bnn_train.export.targets.target import Content
from bnn_train.packed import PackedModel
from bnn_train.packed.program import Conv, Epilogue, Geometry, Pool
from packed_programs import SIGN, Made, Maker, header_of

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-ffp-contract=off")
WATCHED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")
Array = NDArray[Any]
DENSE = Geometry(kernel=(7, 7))
SAME = Geometry(kernel=(3, 3), padding=(1, 1))


def needs_compiler() -> None:
    """Skip where there is no C compiler."""
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler, cc")


def written(made: Made, folder: Path, **options: Any) -> list[str]:
    """The program's folder; what the export tells."""
    content = Content(header_of(made), made.tensors)
    return list(TARGET.write(content, folder, TARGET.options.model_validate(options)))


def compiled(folder: Path, *flags: str, prefix: str = "bnn") -> Path:
    """The folder's program for this machine."""
    program = folder / "run"
    sources = [str(folder / "run.c"), str(folder / f"{prefix}.c")]
    found = subprocess.run(
        ["cc", *STRICT, *flags, f"-I{folder}", *sources, "-o", str(program)], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    return program


def logits_of(program: Path, images: Array, classes: int) -> Array:
    """What the program says of uint8 images."""
    found = subprocess.run([str(program), "--raw"], input=images.tobytes(), capture_output=True)
    assert found.returncode == 0, found.stderr.decode()
    return np.frombuffer(found.stdout, np.float32).reshape(-1, classes)


def images_of(made: Made, count: int = 4) -> NDArray[np.uint8]:
    """Random pixels in the program's shape."""
    v = made.program.values[0]
    shape = (count, v.height, v.width, v.channels)
    return np.random.default_rng(len(made.tensors)).integers(0, 256, shape, dtype=np.uint8)


def differing(made: Made, folder: Path, *flags: str) -> float:
    """The largest difference of a logit to the reference's, relative to the largest; 0: the same bits."""
    written(made, folder)
    images, header = images_of(made), header_of(made)
    wanted = PackedModel.from_parts(header, made.tensors, kernel="reference")(images)
    found = logits_of(compiled(folder, *flags), images, len(header.classes))
    if np.array_equal(found, wanted, equal_nan=True):
        return 0.0
    return float(np.nanmax(np.abs(found - wanted)) / np.nanmax(np.abs(wanted)))


def small_net(seed: int = 0) -> Made:
    """Pixels, a convolution, one with a pooling of its bits, and logits of whole sums."""
    m = Maker(seed)
    x = m.value("u8", 14, 14, 1)
    stem = Geometry(kernel=(3, 3), padding=(1, 1))
    first = m.value("bits", 14, 14, 33, SIGN)
    weight = m.weight("first", SIGN, 33, stem, 1)
    rule = m.thresholds("first", SIGN, 33, 500.0, exact=False, flip=True)
    norm = Epilogue(scale=m.reals("first.s", 33), norm=(m.reals("first.a", 33), m.reals("first.b", 33)))
    m.steps.append(
        Conv(
            layer="first",
            input=x,
            bits=first,
            weight=weight,
            geometry=stem,
            epilogue=norm,
            thresholds=rule,
        )
    )
    big, pooled = m.value("bits", 14, 14, 40, SIGN), m.value("bits", 7, 7, 40, SIGN)
    weight = m.weight("second", SIGN, 40, SAME, 33)
    rule = m.thresholds("second", SIGN, 40, 9.0, exact=True, flip=True)
    m.steps.append(Conv(layer="second", input=first, bits=big, weight=weight, geometry=SAME, thresholds=rule))
    flip = m.tensor("pool.flip", m.rng.integers(0, 2, 40), "uint8")
    half = Geometry(kernel=(2, 2), stride=(2, 2))
    m.steps.append(Pool(layer="pool", input=big, output=pooled, kind="max", geometry=half, flip=flip))
    y = m.value("f32", 1, 1, 10)
    weight = m.weight("last", SIGN, 10, DENSE, 40)
    tail = Epilogue(norm=(m.reals("last.a", 10, scale=0.05), m.reals("last.b", 10)))
    m.steps.append(Conv(layer="last", input=pooled, output=y, weight=weight, geometry=DENSE, epilogue=tail))
    return m.done(y)
