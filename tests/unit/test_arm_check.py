"""The kernels on emulated processors: programs that run without Python, and what the check asks for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import arm_check
from arm import machines, programs, python
from arm.machines import MACHINES, Answer
from bnn_train.errors import BnnError
from bnn_train.packed import build, native, native_library
from bnn_train.packed.native_abi import ISAS
from native_kernels import kernels  # noqa: F401  # a fixture
from packed_grid import residual_net
from packed_programs import random_input, single_conv


def chosen() -> list[programs.Case]:
    made = {"pixels": single_conv(source="u8", weight="int1", channels=3), "residual": residual_net()}
    return [programs.Case(name, one, random_input(one.program, 2)) for name, one in made.items()]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory, kernels: tuple[str, ...]) -> Path:  # noqa: F811
    here = native_library.FOLDER / native_library.FILE
    return machines.driver(build.compiler(), here, tmp_path_factory.mktemp("driver") / "run_programs")


def answers(driver: Path, file: Path) -> Answer:
    return machines.answer([str(driver), str(file), str(ISAS.index("portable"))])


def test_programs_without_python_give_what_numpy_gives(driver: Path, tmp_path: Path) -> None:
    assert programs.write(tmp_path / "programs", chosen()) == 2
    assert answers(driver, tmp_path / "programs") == Answer(2, [])


@pytest.mark.parametrize("isa", native.available())
def test_gradients_without_python_are_those_of_loops(
    isa: str,
    tmp_path: Path,
    kernels: tuple[str, ...],  # noqa: F811
) -> None:
    here = native_library.FOLDER / native_library.FILE
    program = machines.driver(build.compiler(), here, tmp_path / "run_gradients", machines.GRADIENTS)
    assert machines.answer([str(program), str(ISAS.index(isa))]) == Answer(36, [])


def test_a_changed_value_is_told(driver: Path, tmp_path: Path) -> None:
    programs.write(tmp_path / "programs", chosen())
    content = bytearray((tmp_path / "programs").read_bytes())
    content[-1] ^= 1  # the exponent of the last logit
    (tmp_path / "programs").write_bytes(content)
    found = answers(driver, tmp_path / "programs")
    assert found.programs == 2
    assert [line.partition(":")[0] for line in found.different] == ["DIFFERENT residual"]


def test_a_file_that_ends_too_soon_is_told(driver: Path, tmp_path: Path) -> None:
    programs.write(tmp_path / "programs", chosen())
    content = (tmp_path / "programs").read_bytes()
    (tmp_path / "programs").write_bytes(content[:-8])
    with pytest.raises(BnnError, match=r"broke off \(2\): the file ends too soon"):
        answers(driver, tmp_path / "programs")


def test_missing_tools_are_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert arm_check.main(["--machines", "arm"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: no arm-linux-gnueabihf-g++, qemu-arm here; on Debian, apt-get install ")


def test_missing_downloads_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(arm_check, "missing", lambda machines: [])
    (tmp_path / "wheels").mkdir()
    for name in python.WHEELS[1:]:
        (tmp_path / "wheels" / f"{name}-1.0-py3-none-any.whl").touch()
    (tmp_path / "debs").mkdir()
    for name in python.DEBIAN:
        (tmp_path / "debs" / f"{name}_1.0_arm64.deb").touch()
    assert arm_check.main(["--folder", str(tmp_path)]) == 2
    told = f"error: {tmp_path} lacks Python for 64-bit Arm (numpy); --fetch downloads it\n"
    assert capsys.readouterr().err == told


@pytest.mark.parametrize("words", [["--machines", "arm,z80"], ["--every", "0"]])
def test_impossible_words_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        arm_check.main(words)
    assert words[0] in capsys.readouterr().err


@pytest.mark.slow
def test_every_machine_agrees(capsys: pytest.CaptureFixture[str]) -> None:
    folder = arm_check.FOLDER.expanduser()
    lacking = machines.missing(MACHINES) + python.missing(folder)
    if lacking:
        pytest.skip(f"no {', '.join(lacking)} here: python scripts/arm_check.py --fetch")
    assert arm_check.main(["--every", "40"]) == 0
    assert capsys.readouterr().out.endswith(": 0 different\n")
