"""A packed model in use: what it accepts, in what portions it works, which kernel it takes, and that torch
stays out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bnn_train.errors import BnnError, DataError
from bnn_train.packed import PackedModel, container, kernels, load
from bnn_train.packed.errors import KernelError, NativeUnavailable, PackedFileError
from bnn_train.packed.reference.engine import build
from packed_damage import rich, small
from packed_programs import header_of, random_input, single_conv

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 4, 4, 3), dtype=np.uint8)
ROOT = Path(__file__).resolve().parents[2]


def reference(header: Any, tensors: Any) -> PackedModel:
    return PackedModel.from_parts(header, tensors, isa="reference")


def test_from_a_file(tmp_path: Path) -> None:
    header, tensors = small()
    container.write(tmp_path / "m.bnn", header, tensors)
    model = load(tmp_path / "m.bnn", isa="reference")
    truth = build(header.program, tensors).run(PIXELS, 1)
    assert (model.isa, model.threads, model.header, model.program) == (
        "reference",
        1,
        header,
        header.program,
    )
    logits = model(PIXELS)
    assert (logits.shape, logits.dtype) == ((7, 3), np.dtype(np.float32))
    assert np.array_equal(logits, truth)


def test_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bnn_train.packed.runtime._CHUNK_IMAGES", 3)
    model = reference(*small())
    sizes: list[int] = []
    run = model._engine.run

    def noted(x: np.ndarray, threads: int) -> np.ndarray:
        sizes.append(len(x))
        return run(x, threads)

    monkeypatch.setattr(model._engine, "run", noted, raising=False)
    whole = build(small()[0].program, small()[1]).run(PIXELS, 1)
    assert np.array_equal(model(PIXELS), whole)
    assert sizes == [3, 3, 1]


def test_portions_shrink_with_the_memory_of_an_image() -> None:
    made = single_conv(size=(256, 256), channels=64, outputs=64, parts="", results="f32")
    assert 1 <= reference(header_of(made), made.tensors)._chunk < 5


def test_no_image() -> None:
    model = reference(*small())
    nothings: tuple[Any, ...] = (PIXELS[:0], [])
    for nothing in nothings:
        assert model(nothing).shape == (0, 3)
    with pytest.raises(DataError, match="the model wants"):
        model(np.zeros((0, 5, 4, 3), np.uint8))


def test_files(tmp_path: Path) -> None:
    paths: list[str | Path] = []
    for i, pixels in enumerate(PIXELS):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(pixels).save(paths[-1])
    model = reference(*small())
    assert np.array_equal(model(paths), model(PIXELS))
    for alone in (str(paths[0]), Path(paths[0])):
        assert np.array_equal(model(alone), model(PIXELS[:1]))


@pytest.mark.parametrize("images", [[1, 2], [PIXELS[0]], {"a": 1}, object(), 3, PIXELS.astype(float)])
def test_what_is_no_image(images: Any) -> None:
    with pytest.raises(DataError):
        reference(*small())(images)


def test_views_are_as_good_as_copies() -> None:
    model = reference(*small())
    wide = np.repeat(PIXELS, 2, axis=2)[:, :, ::2]
    assert not wide.flags.c_contiguous
    assert np.array_equal(model(wide), model(PIXELS))
    turned = PIXELS[:, ::-1]
    assert np.array_equal(model(turned), model(turned.copy()))


def test_values_and_steps() -> None:
    header, tensors = rich()
    model = reference(header, tensors)
    values = model.values(PIXELS)
    assert len(values) == len(header.program.values)
    x = (PIXELS / np.float32(255) - tensors["pre.mean"]) / tensors["pre.std"]
    assert np.array_equal(values[0], x.astype(np.float32))
    assert np.array_equal(values[header.program.output].reshape(7, -1), model(PIXELS))
    for i in range(len(header.program.steps)):
        for v, array in model.step(i, dict(enumerate(values))).items():
            assert np.array_equal(array, values[v])
            assert array.flags.c_contiguous


def test_steps_check_what_they_are_given() -> None:
    model = reference(*small())
    for i, inputs in (
        (0, {}),
        (0, {0: PIXELS.astype(np.float32)}),
        (0, {0: PIXELS[:, :3]}),
        (0, {0: PIXELS[:0]}),
    ):
        with pytest.raises(BnnError, match="value 0 is missing or not u8 N×4×4×3"):
            model.step(i, inputs)
    for i in (-1, 2):
        with pytest.raises(BnnError, match="does not exist"):
            model.step(i, {0: PIXELS})


def test_parts_are_checked() -> None:
    header, tensors = small()
    with pytest.raises(PackedFileError, match="no tensor"):
        reference(header, {})
    for threads in (0, -1, 2.0, "2", True, 10**6):
        with pytest.raises(BnnError, match="threads is"):
            PackedModel.from_parts(header, tensors, threads=threads, isa="reference")  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["none.bnn", "."])
def test_files_that_cannot_be_read(tmp_path: Path, path: str) -> None:
    with pytest.raises(PackedFileError, match=r"cannot be read|no regular file"):
        load(tmp_path / path)
    with pytest.raises(PackedFileError, match="cannot be read"):
        load("a\0b")


def test_instruction_sets_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    header, tensors = small()
    monkeypatch.setenv("BNN_KERNEL", "reference")
    assert PackedModel.from_parts(header, tensors).isa == "reference"
    monkeypatch.setenv("BNN_ISA", "sse9")
    with pytest.raises(KernelError, match="choose one of reference, portable"):
        PackedModel.from_parts(header, tensors)
    assert PackedModel.from_parts(header, tensors, isa="reference").isa == "reference"


def test_the_name_of_earlier_releases(tmp_path: Path) -> None:
    header, tensors = small()
    assert PackedModel.from_parts(header, tensors, kernel="reference").kernel == "reference"
    container.write(tmp_path / "m.bnn", header, tensors)
    assert load(tmp_path / "m.bnn", kernel="reference").kernel == "reference"
    assert load(tmp_path / "m.bnn", 1, "reference").isa == "reference"


def test_without_native_kernels(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def nothing(*_: Any) -> Any:
        raise NativeUnavailable("the library is not built")

    for variable in kernels.VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(kernels, "_native", nothing)
    monkeypatch.setattr(kernels, "_told", [])
    header, tensors = small()
    assert [PackedModel.from_parts(header, tensors).isa for _ in range(2)] == ["reference"] * 2
    assert capsys.readouterr().err.count("not built") == 1
    with pytest.raises(NativeUnavailable, match="not built"):
        PackedModel.from_parts(header, tensors, isa="portable")


WITHOUT_TORCH = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "torchvision", "tqdm", "yaml", "sklearn", "scipy",
        "tensorboard"}:
            raise ImportError(name)

sys.meta_path.insert(0, Absent())
import numpy as np
from bnn_train.packed import load
model = load(sys.argv[1], isa="reference")
print(model(np.zeros((2, 4, 4, 3), np.uint8)).shape, "PIL" in sys.modules)
"""


def test_torch_is_not_needed(tmp_path: Path) -> None:
    container.write(tmp_path / "m.bnn", *small())
    command = [sys.executable, "-W", "error", "-c", WITHOUT_TORCH, str(tmp_path / "m.bnn")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("(2, 3) False", "")


def test_the_input_of_a_program() -> None:
    made = single_conv(source="u8", channels=3)
    x = random_input(made.program)
    assert reference(header_of(made), made.tensors).input(x) is not None
