"""``binary/README.md`` followed to the letter in a copy of the package: the method that it adds works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import ENVIRONMENT, PATIENCE_S, ROOT

PAGE = ROOT / "bnn_train/binary/README.md"
BLOCK = re.compile(r"^```(\w+) (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""Kind, file and text of the blocks that name a file."""
REST = "…"
NAME = "stepped"
DRIVER = """
import json, math, sys
import method_tables, pytest, torch
from bnn_train.cli import export, train
from losses import NETWORKS, first_losses

torch.set_num_threads(1)
arguments = ["--config", "configs/quickstart.yaml", "--set", f"method={sys.argv[1]}"]
chosen = ["-k", "three_steps or stepped or every_option or told", "-p", "no:cacheprovider"]
short = ["--set", "training.epochs=2", "--set", "run.dir=run", "--set", "run.tensorboard=false"]
tests = ("three_steps", "methods", "tables_method", "configs", "pages")
losses = [loss for network in NETWORKS for loss in first_losses(sys.argv[1], network)]
codes = {
    "dry-run": train.main([*arguments, "--dry-run"]),
    "check": train.main([*arguments, "--check"]),
    "train": train.main([*arguments, *short]),
    "export": export.main(["--checkpoint", "run", "--out", "model.bnn", "--no-latency"]),
    "config": train.main(["--config", f"configs/mnist/{sys.argv[1]}_alexnet.yaml", "--print-config"]),
    "golden": int(not all(map(math.isfinite, losses))),
    "pages": method_tables.main([]),
    "tests": int(pytest.main([*(f"tests/unit/test_{name}.py" for name in tests), *chosen])),
}
print(json.dumps(codes))
sys.exit(any(codes.values()))
"""


def blocks() -> Iterator[tuple[str, str, str]]:
    yield from BLOCK.findall(PAGE.read_text(encoding="utf-8"))


def copied(folder: Path) -> None:
    """Package, configs and tests, without what they do not need to run."""
    skip = shutil.ignore_patterns("__pycache__", "csrc", "corpus", "native")
    for name in ("bnn_train", "configs", "scripts", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=skip)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder)


def applied(text: str, block: str) -> str:
    """A file's text after a block of lines that stay (a space), go (−) and come (+)."""
    lines = [(line[:1], line[1:]) for line in block.splitlines()]
    old = "\n".join(line for mark, line in lines if mark != "+")
    new = "\n".join(line for mark, line in lines if mark != "-")
    pattern = re.compile(rf"^{re.escape(old).replace(REST, '(.*)')}$", re.MULTILINE)
    found = list(pattern.finditer(text))
    assert len(found) == 1, f"the page's lines stand {len(found)} times in the file:\n{old}"
    for rest in found[0].groups():
        new = new.replace(REST, rest, 1)
    return text[: found[0].start()] + new + text[found[0].end() :]


def follow(folder: Path) -> None:
    """Everything that the page says, block after block."""
    for kind, name, block in blocks():
        path = folder / name
        if kind == "diff":
            path.write_text(applied(path.read_text(encoding="utf-8"), block), encoding="utf-8")
        else:
            assert not path.exists()
            path.write_text(block, encoding="utf-8")


def test_the_page_is_short() -> None:
    assert PAGE.stat().st_size <= 8000


def test_a_method_is_added_as_the_page_says(tmp_path: Path) -> None:
    """Dry run, checks, training, export with its parity, the new config, and the page's own tests."""
    copied(tmp_path)
    follow(tmp_path)
    paths = [tmp_path, *(tmp_path / name for name in ("tests", "tests/golden", "scripts"))]
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, NAME],
        cwd=tmp_path,
        env=ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "model.bnn").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("block", "result"),
    [
        (" b\n+new\n", "a\nb\nnew\nc x\n"),
        ("-b\n+new\n", "a\nnew\nc x\n"),
        ("-c …\n+c y …\n", "a\nb\nc y x\n"),
    ],
)
def test_a_block_is_applied(block: str, result: str) -> None:
    assert applied("a\nb\nc x\n", block) == result


def test_a_block_that_has_no_place_is_told() -> None:
    with pytest.raises(AssertionError, match="stand 0 times"):
        applied("a\n", " b\n+c\n")
