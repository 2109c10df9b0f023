"""ONNX: standard operators alone, uint8 images N×H×W×C in, logits out; run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.errors import DataError
from bnn_train.export.targets.graph.graph import Arithmetic, Graph
from bnn_train.export.targets.graph.pixels import prepared, turned
from bnn_train.export.targets.graph.proto import HEADER, INPUT, OPSET, OUTPUT, model_proto
from bnn_train.export.targets.graph.steps import Walk
from bnn_train.export.targets.graph.weights import Stored, StoredSigns
from bnn_train.export.targets.needs import demand, named
from bnn_train.export.targets.target import Content, Opened, Target
from bnn_train.files import write_atomic
from bnn_train.packed.container import parse_header
from bnn_train.spec.record import Record

EXTRA = "onnx"
BATCH = 256
"""Images of a call."""


class OnnxOptions(Record):
    """Forms of an ONNX file."""

    weights: Stored = "packed"
    """binary weights: bits that the runtime unpacks as it loads, bytes, or 32-bit numbers"""
    arithmetic: Arithmetic = "exact"
    """exact: the packed file's logits bit for bit; float32: no float64, for accelerators; last bits differ"""


def graph_of(content: Content, options: OnnxOptions) -> Graph:
    """The whole network as a graph."""
    g = Graph(options.arithmetic)
    first = prepared(g, turned(g, INPUT), content.header.images, content.tensors)
    logits = Walk(g, content.header.program, content.tensors, StoredSigns(options.weights)).run(first)
    g.op("Reshape", logits, g.whole(0, -1), output=OUTPUT)
    return g


def _write(content: Content, path: Path, options: Record) -> Sequence[str]:
    demand("--format onnx", ("onnx",), EXTRA)
    import onnx

    chosen = options if isinstance(options, OnnxOptions) else OnnxOptions()
    model = model_proto(graph_of(content, chosen), content.header)
    onnx.checker.check_model(model, full_check=True)
    raw = model.SerializeToString(deterministic=True)
    write_atomic(path, raw)
    size = content.header.images
    images = f"{INPUT} uint8 N×{size.height}×{size.width}×{size.channels}"
    return (
        f"onnx       {len(raw):,} bytes, opset {OPSET}, {len(model.graph.node)} nodes; {images},"
        f" {OUTPUT} float32 N×{len(content.header.classes)}",
    )


def _open(path: Path) -> Opened:
    demand(f"{path}: to run it, bnn-eval", ("onnxruntime",), EXTRA)
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path}: ONNX Runtime does not take it: {reason}") from None
    text = session.get_modelmeta().custom_metadata_map.get(HEADER)
    if text is None:
        raise DataError(f"{path}: an ONNX file, but none of bnn-export: it does not say what its images are")
    run = in_batches(lambda images: session.run(None, {INPUT: images})[0])
    return Opened(parse_header(text), named("onnxruntime"), run)


def in_batches(
    run: Callable[[NDArray[np.uint8]], Any], fixed: int | None = None
) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """A runtime called with some images at a time; ``fixed``: always so many, the last ones filled up."""
    size = fixed or BATCH

    def some(images: NDArray[np.uint8]) -> Any:
        missing = fixed - len(images) if fixed else 0
        full = np.concatenate([images, np.repeat(images[:1], missing, 0)]) if missing else images
        return run(full)[: len(images)]

    def logits(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.concatenate([some(images[at : at + size]) for at in range(0, len(images), size)])

    return logits


TARGET: Target = Target(
    name="onnx",
    summary="standard operators, for ONNX Runtime and others",
    write=_write,
    open=_open,
    recognises=lambda path: path.suffix.lower() == ".onnx" and path.is_file(),
    endings=(".onnx",),
    options=OnnxOptions,
    packages=("onnx",),
    extra=EXTRA,
)
