"""All formats of export, by name."""

from __future__ import annotations

from pathlib import Path

from bnn_train.export.targets import onnx_model, openvino_ir, packed, qonnx_model, torch_files
from bnn_train.export.targets.c import target as c
from bnn_train.export.targets.target import Target
from bnn_train.export.targets.web import target as web

DEFAULT = packed.TARGET
"""The format of a path whose ending chooses none."""
TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        packed.TARGET,
        qonnx_model.TARGET,  # before ONNX, which its files are, too
        onnx_model.TARGET,
        openvino_ir.TARGET,
        torch_files.TARGET,
        c.TARGET,
        web.TARGET,
    )
}  # fmt: skip


def recognised(path: Path) -> Target | None:
    """The format that a written file or folder looks like; a pipe, which may never end, is none."""
    if not (path.is_file() or path.is_dir()):
        return None
    return next((target for target in TARGETS.values() if target.recognises(path)), None)
