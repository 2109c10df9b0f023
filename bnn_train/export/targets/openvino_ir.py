"""OpenVINO: an IR (``.xml`` and ``.bin``) converted from the network's ONNX form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bnn_train.errors import DataError, ExportError
from bnn_train.export.targets.graph.graph import Graph
from bnn_train.export.targets.graph.pixels import prepared, turned
from bnn_train.export.targets.graph.proto import INPUT, OUTPUT, model_proto
from bnn_train.export.targets.graph.steps import Walk
from bnn_train.export.targets.graph.weights import Signs, StoredSigns
from bnn_train.export.targets.needs import demand, named
from bnn_train.export.targets.onnx_model import in_batches
from bnn_train.export.targets.openvino_binary import binarize
from bnn_train.export.targets.target import Content, Opened, Target
from bnn_train.files import write_atomic
from bnn_train.packed import strict_json
from bnn_train.packed.container import parse_header
from bnn_train.spec.record import Record

Array = NDArray[Any]
EXTRA = "openvino"
PLACE = ["bnn_train", "header"]
"""Where the packed file's header stands in the model's run-time information."""
_START = 2**12


class OpenvinoOptions(Record):
    """Forms of an IR."""

    weights: Literal["packed", "int8", "float32"] = "packed"
    """binary weights: bits that are unpacked as the model is compiled, bytes, or 32-bit numbers"""
    binary: bool = False
    """binary convolutions where signs meet signs; needs a fixed batch"""
    batch: int = Field(default=0, ge=0)
    """images of a call; 0: any number, or 1 with binary=true"""


@dataclass(frozen=True)
class DividedSigns:
    """Bits eight to a byte, taken apart by float32 arithmetic: OpenVINO's shifts of bytes go wrong."""

    def __call__(self, g: Graph, rows: Array, shape: tuple[int, int, int]) -> str:
        planes, outputs, octets = rows.shape
        count = shape[0] * shape[1] * shape[2]
        stored = g.cast(g.constant(rows.reshape(planes, outputs, octets, 1), np.uint8, "weight"), np.float32)
        shifted = g.op("Floor", g.op("Mul", stored, g.constant(0.5 ** np.arange(8), np.float32)))
        above = g.op("Floor", g.op("Mul", shifted, g.number(0.5)))
        bit = g.op("Sub", shifted, g.op("Mul", above, g.number(2)))
        flat = g.reshape(bit, planes, outputs, octets * 8)
        if count != octets * 8:
            flat = g.slice(flat, [2], [0], [count])
        sign = g.op("Sub", g.number(1), g.op("Mul", flat, g.number(2)))
        return g.reshape(sign, planes, outputs, *shape)


def converted(content: Content, options: OpenvinoOptions) -> Any:
    """An ``openvino.Model``."""
    import openvino

    g = Graph("float32")
    signs: Signs = DividedSigns() if options.weights == "packed" else StoredSigns(options.weights)
    first = prepared(g, turned(g, INPUT), content.header.images, content.tensors)
    logits = Walk(g, content.header.program, content.tensors, signs).run(first)
    g.op("Reshape", logits, g.whole(0, -1), output=OUTPUT)
    model = openvino.Core().read_model(model_proto(g, content.header).SerializeToString())
    batch = options.batch or int(options.binary)
    if batch:
        size = content.header.images
        model.reshape([batch, size.height, size.width, size.channels])
    if options.binary:
        binarize(model, content)
    model.set_rt_info(strict_json.dump(content.header.model_dump()), PLACE)
    return model


def _write(content: Content, path: Path, options: Record) -> Sequence[str]:
    demand("--format openvino", ("onnx", "openvino"), EXTRA)
    import openvino

    weights = path.with_suffix(".bin")
    if weights.exists() and not _is_ours(path):
        raise ExportError(f"{weights}: is in the way, and no export as openvino wrote it; name another --out")
    chosen = options if isinstance(options, OpenvinoOptions) else OpenvinoOptions()
    model = converted(content, chosen)
    with TemporaryDirectory() as folder:
        place = Path(folder) / "model.xml"
        openvino.save_model(model, place, compress_to_fp16=False)
        xml, binary = place.read_bytes(), place.with_suffix(".bin").read_bytes()
    write_atomic(weights, binary)
    write_atomic(path, xml)
    return (f"openvino   {path.name}: {len(xml):,} bytes, {weights.name}: {len(binary):,} bytes of weights",)


def _open(path: Path) -> Opened:
    demand(f"{path}: to run it, bnn-eval", ("openvino",), EXTRA)
    import openvino

    core = openvino.Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    try:
        model = core.read_model(path)
        compiled = core.compile_model(model, "CPU", settings)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise DataError(f"{path}: OpenVINO does not take it: {reason}") from None
    if not model.has_rt_info(PLACE):
        raise DataError(f"{path}: an IR, but none of bnn-export: it does not say what its images are")
    header = parse_header(model.get_rt_info(PLACE).value)
    given = model.input(0).get_partial_shape()[0]
    fixed = int(given.get_length()) if given.is_static else None
    return Opened(header, named("openvino"), in_batches(lambda images: compiled(images)[0], fixed))


def _is_ir(path: Path) -> bool:
    """Whether a file begins like an IR."""
    try:
        with path.open("rb") as file:
            return path.suffix.lower() == ".xml" and b"<net " in file.read(_START)
    except OSError:
        return False


def _is_ours(path: Path) -> bool:
    """Whether an IR is of an export."""
    try:
        return _is_ir(path) and f"<{PLACE[0]}>".encode() in path.read_bytes()
    except OSError:
        return False


TARGET: Target = Target(
    name="openvino",
    summary="OpenVINO's IR, .xml and .bin, in float32",
    write=_write,
    open=_open,
    recognises=_is_ir,
    endings=(".xml",),
    options=OpenvinoOptions,
    packages=("onnx", "openvino"),
    extra=EXTRA,
)
