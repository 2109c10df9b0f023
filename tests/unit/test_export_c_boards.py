"""The export to C on emulated microcontrollers: the same answers, in flash and RAM that the linker proves."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bnn_train.packed import PackedModel
from c_export import images_of, small_net, written
from packed_programs import header_of

BOARDS = {
    "cortex-m3": ("arm-none-eabi-gcc", "qemu-system-arm"),
    "riscv32": ("riscv64-unknown-elf-gcc", "qemu-system-riscv32"),
}


@pytest.mark.slow
@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("logits", [False, True])
def test_boards_answer_as_the_packed_network(board: str, logits: bool, tmp_path: Path) -> None:
    if missing := [tool for tool in (*BOARDS[board], "make") if shutil.which(tool) is None]:
        pytest.skip(f"needs {' and '.join(missing)}")
    made, folder = small_net(4), tmp_path / "c"
    written(made, folder)
    images = images_of(made, 20)
    images.tofile(folder / "images.raw")
    options = ["BOARD=-DBNN_BOARD_LOGITS"] if logits else []
    make = ["make", "-C", str(folder), f"run-{board}", "FLASH=32768", *options]
    told = subprocess.run(make, capture_output=True, text=True, check=False, timeout=300)
    assert told.returncode == 0, told.stderr
    assert "bytes of stack: 0" in told.stdout + told.stderr
    wanted = PackedModel.from_parts(header_of(made), made.tensors)(images)
    if logits:
        found = np.fromfile(folder / "answers.raw", np.float32).reshape(-1, 10)
        assert np.array_equal(found, wanted)
    else:
        assert np.fromfile(folder / "answers.raw", np.uint8).tolist() == wanted.argmax(axis=1).tolist()


@pytest.mark.slow
def test_the_linker_refuses_what_does_not_fit(tmp_path: Path) -> None:
    if shutil.which("arm-none-eabi-gcc") is None or shutil.which("make") is None:
        pytest.skip("needs arm-none-eabi-gcc and make")
    folder = tmp_path / "c"
    written(small_net(5), folder)
    for small in ("FLASH=4096", "RAM=1024"):
        found = subprocess.run(
            ["make", "-C", str(folder), "cortex-m3.elf", small], capture_output=True, text=True, check=False
        )
        assert found.returncode, small
        assert "overflowed" in found.stderr or "stack" in found.stderr, small
