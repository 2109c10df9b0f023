"""Portable C99 as a format of export: a folder that compiles anywhere, microcontrollers included."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bnn_train.export.targets import folders
from bnn_train.export.targets.c.folder import board_bytes, texts_of
from bnn_train.export.targets.c.host import opened
from bnn_train.export.targets.c.options import COptions
from bnn_train.export.targets.c.source import Source, source_of
from bnn_train.export.targets.target import Content, Target
from bnn_train.spec.record import Record

NAME = "c"


def _write(content: Content, path: Path, options: Record) -> Sequence[str]:
    chosen = COptions.model_validate(options.model_dump())
    source = source_of(content, chosen)
    folders.fill(path, NAME, texts_of(content, source, chosen))
    return told(source)


def told(source: Source) -> list[str]:
    """The memory plan and the sizes."""
    sizes = source.arrays.sizes
    flash, ram = board_bytes(source)
    constants = ", ".join(f"{use} {size:,}" for use, size in sizes.items())
    numbers = "takes real numbers" if source.uses_floats else "takes no real number"
    return [
        f"memory     {4 * source.plan.words:,} bytes for {len(source.plan.places)} values, the image among"
        " them; the plan is in README.md",
        f"constants  {sum(sizes.values()):,} bytes: {constants}",
        f"answer     {numbers}",
        f"boards     make run-cortex-m3 run-riscv32, in {flash:,} bytes of flash and {ram:,} of RAM",
    ]


def _recognises(path: Path) -> bool:
    found = folders.manifest(path)
    return found is not None and found["format"] == NAME


TARGET = Target(
    name=NAME,
    summary="a folder of C99 without libraries, compiled by any compiler, microcontrollers included",
    write=_write,
    open=opened,
    recognises=_recognises,
    is_folder=True,
    options=COptions,
)
