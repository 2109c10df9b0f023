"""The package as it is installed: what the build holds, and that it works from an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

pytest.importorskip("setuptools", minversion="77", reason="builds need setuptools")

from setuptools.dist import Distribution

from build_commands import BuildPackage
from commands import ENVIRONMENT, PATIENCE_S, ROOT, words

BOTH = """
from bnn_train.cli.train import main
assert main(["--config", "configs/mnist/bnn_mlp.yaml", "--print-config"]) == main(["--list"]) == 0
"""


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BuildPackage:
    """The build step over the checkout, which fills ``tmp_path/lib``."""
    monkeypatch.chdir(ROOT)
    folders = [path.parent.relative_to(ROOT) for path in (ROOT / "bnn_train").rglob("__init__.py")]
    packages = [".".join(folder.parts) for folder in folders]
    step = BuildPackage(Distribution({"packages": packages, "script_name": "setup.py"}))
    step.build_lib = str(tmp_path / "lib")
    step.ensure_finalized()
    return step


def test_an_installation_works_from_an_empty_folder(build: BuildPackage, tmp_path: Path) -> None:
    build.run()
    built, empty = Path(build.build_lib), tmp_path / "empty"
    empty.mkdir()
    known = {path.relative_to(ROOT) for path in (ROOT / "configs").rglob("*.yaml")}
    assert {path.relative_to(built / "bnn_train") for path in built.rglob("*.yaml")} == known
    assert {str(path.relative_to(built)) for path in built.rglob("*") if path.is_file()} <= {
        str(Path(place).relative_to(build.build_lib)) for place in build.get_outputs(include_bytecode=False)
    }
    done = subprocess.run(
        [sys.executable, "-c", BOTH],
        cwd=empty,
        env=ENVIRONMENT | {"PYTHONPATH": str(built)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    assert done.stdout.startswith("method:\n  name: bnn\n")
    assert f"\nconfigs ({len(known)};" in done.stdout
    assert os.listdir(empty) == []


def test_an_editable_installation_copies_nothing(build: BuildPackage) -> None:
    build.editable_mode = True
    assert not any("configs" in place for place in build.get_output_mapping())


def test_a_source_distribution_is_whole(build: BuildPackage) -> None:
    """Whoever has it can build, test and read."""
    named = set(build.get_source_files())
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    ours = {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}
    expected = {name for name in ours if name.startswith(("configs/", "scripts/", "tests/"))}
    assert expected - named == set()


def test_what_the_package_shall_carry_is_there() -> None:
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    assert [f for f in patterns["bnn_train"] if not any((ROOT / "bnn_train").glob(f))] == []


def test_commands_are_named_once() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    from bnn_train.__main__ import COMMANDS

    assert scripts == {f"bnn-{name}": f"bnn_train.cli.{name}:main" for name in COMMANDS}


@pytest.mark.slow
def test_a_wheel_from_the_source_distribution_has_kernels(tmp_path: Path) -> None:
    """Minutes: compiles them."""
    make = "import sys, setuptools.build_meta as b; print(b.build_sdist(sys.argv[1]))"
    source = subprocess.run(
        [sys.executable, "-c", make, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    archive = tmp_path / source.stdout.splitlines()[-1]
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    subprocess.run([*pip, str(archive)], capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as held:
        names = set(held.namelist())
        held.extractall(tmp_path / "lib")
    assert any(name.startswith("bnn_train/packed/_kernels.") for name in names)
    assert {"bnn_train/configs/quickstart.yaml", "bnn_train/py.typed"} <= names
    run = words("bnn-train", "--config", "quickstart", "--set", "training.epochs=1", "--set", "run.dir=r")
    export = words("bnn-export", "--checkpoint", "r", "--out", "m.bnn")
    evaluate = words("bnn-eval", "--checkpoint", "m.bnn", "--kernel", "portable")
    environment = ENVIRONMENT | {"PYTHONPATH": str(tmp_path / "lib")}
    for command in (run, export, evaluate):
        subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True)
