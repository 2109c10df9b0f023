"""The AVX-512 kernels on a processor without AVX-512: ``tests/native/avx512`` says what its operations do.

What they compute is tried so, and not how fast. Programs of the grid, of the generator, and of training.
"""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

import pytest

from arm.machines import DRIVERS, GRADIENTS, PROGRAMS, answer, driver
from arm.programs import cases, write
from bnn_train.packed import build, native
from bnn_train.packed.native_abi import ISAS
from fuzz.libraries import Libraries
from fuzz.watch import Found, Plan, batches

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("avx2" not in native.available(), reason="imitated by AVX2, which is not here"),
    pytest.mark.skipif("avx512" in native.available(), reason="this processor runs the kernels itself"),
]

FEATURES = "avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq,avx512vnni,"
REGISTER = 'asm("" : "+v"(v));'
"""Names a register of 512 bits."""
ISA = "avx512"


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library, with AVX-512 as an imitation."""
    if platform.machine() != "x86_64" or shutil.which("g++") is None:
        pytest.skip("needs g++ for x86-64")
    folder = tmp_path_factory.mktemp("imitated")
    sources = folder / "csrc"
    shutil.copytree(build.SOURCES, sources)
    replaced(sources / "isa_avx512.cpp", FEATURES, "")
    replaced(sources / "isa" / "vec_avx512.h", REGISTER, "")
    imitation = (f"-I{DRIVERS / ISA}", "-D__builtin_cpu_supports(feature)=1", "-Wno-psabi")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "SOURCES", sources)
        build.compile_library(folder / "kernels.so", ("-O1", *imitation), cxx="g++")
    return folder / "kernels.so"


def replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_the_grid(kernels: Path) -> None:
    programs = kernels.parent / "programs"
    count = write(programs, cases())
    run = driver("g++", kernels, kernels.parent / PROGRAMS)
    assert answer([str(run), str(programs), str(ISAS.index(ISA))]) == (count, [])


def test_gradients_and_passes_of_training(kernels: Path) -> None:
    run = driver("g++", kernels, kernels.parent / GRADIENTS, GRADIENTS)
    found = answer([str(run), str(ISAS.index(ISA))])
    assert found.programs > 30
    assert found.different == []


def test_programs_of_the_generator(kernels: Path) -> None:
    found, plan = Found.nothing(), Plan(Libraries(kernels, {}, 0), (ISA, "reference"), seconds=60)
    for _, batch in batches(plan, 3000, 300, 1):
        found.add(batch._asdict())
    assert found.failures == []
    assert found.counts["compared with the reference"] > 60
