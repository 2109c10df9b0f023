"""The packed file itself as a format of export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bnn_train.export.targets.target import Content, Opened, Target
from bnn_train.packed import container, load
from bnn_train.packed.recognise import is_packed
from bnn_train.spec.record import Record


def _write(content: Content, path: Path, _options: Record) -> Sequence[str]:
    container.write(path, content.header, dict(content.tensors))
    return ()


def _open(path: Path) -> Opened:
    model = load(path)
    return Opened(model.header, f"packed, kernel {model.kernel}", model)


TARGET: Target = Target(
    name="packed",
    summary="bnn_train's own file: bits and thresholds, run by bnn_train.packed",
    write=_write,
    open=_open,
    recognises=is_packed,
    endings=(".bnn",),
)
