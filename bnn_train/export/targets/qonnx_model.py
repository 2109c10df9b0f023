"""QONNX: BipolarQuant and Quant around standard operators, the input of FINN and hls4ml; run by ``qonnx``."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bnn_train.errors import DataError
from bnn_train.export.targets.graph.folding import fold
from bnn_train.export.targets.graph.graph import Graph, Node
from bnn_train.export.targets.graph.pixels import prepared
from bnn_train.export.targets.graph.proto import HEADER, INPUT, IR, OPSET, OUTPUT, initializers, nodes
from bnn_train.export.targets.graph.steps import Walk
from bnn_train.export.targets.graph.weights import StoredSigns
from bnn_train.export.targets.needs import demand, named
from bnn_train.export.targets.target import Content, Opened, Target
from bnn_train.files import write_atomic
from bnn_train.packed import strict_json
from bnn_train.packed.container import parse_header
from bnn_train.packed.program import Header
from bnn_train.spec.record import Record

Array = NDArray[Any]
EXTRA = "qonnx"
DOMAIN = "qonnx.custom_op.general"
PRODUCTS = ("Conv", "MatMul")
_MOST = 2**23
_START = 2**12


class QonnxOptions(Record):
    """The form of a QONNX file."""

    batch: int = Field(default=1, ge=1)
    """images of a call; the format has a fixed number"""


def graph_of(content: Content) -> Graph:
    """Pixels, binary weights and signs behind quantizers; float32 N×C×H×W from 0 to 255 in."""
    g = Graph("float32")
    pixels = _quantized(g, INPUT, 8, signed=False)
    first = prepared(g, pixels, content.header.images, content.tensors)
    walk = Walk(g, content.header.program, content.tensors, StoredSigns("float32"), _bipolar)
    logits = walk.run(first)
    g.op("Reshape", logits, g.whole(0, -1), output=OUTPUT)
    fold(g)
    _quantize_weights(g)
    return g


def _bipolar(g: Graph, y: str, limit: str) -> str:
    """+1 where y − limit ≥ 0, which float32 subtracts with the right sign."""
    return g.op("BipolarQuant", g.op("Sub", y, limit), g.number(1), domain=DOMAIN)


def _quantized(g: Graph, x: str, bits: int, *, signed: bool) -> str:
    """Whole numbers of so many bits, as they are."""
    rules: dict[str, Any] = {"signed": int(signed), "narrow": 0, "rounding_mode": "ROUND"}
    return g.op("Quant", x, g.number(1), g.number(0), g.number(bits), domain=DOMAIN, **rules)


def _quantize_weights(g: Graph) -> None:
    """Each constant weight behind a quantizer: of ±1 the bipolar one, of whole numbers the narrowest."""
    found, made = [], dict[str, str]()
    for node in g.nodes:
        weight = node.inputs[1] if node.kind in PRODUCTS else ""
        if weight in g.constants and weight not in made:
            before, g.nodes = g.nodes, []
            made[weight] = _behind_quantizer(g, weight)
            found += g.nodes
            g.nodes = before
        named_anew = (node.inputs[0], made.get(weight, weight)) if weight else node.inputs
        found.append(Node(node.kind, named_anew, node.output, node.attributes, node.domain))
    g.nodes[:] = found


def _behind_quantizer(g: Graph, weight: str) -> str:
    numbers = g.constants[weight]
    g.layer = weight.rpartition(".")[0]
    if (np.abs(numbers) == 1).all():
        return g.op("BipolarQuant", weight, g.number(1), domain=DOMAIN)
    if (np.abs(numbers) < _MOST).all() and (np.rint(numbers) == numbers).all():
        least, most = int(numbers.min()), int(numbers.max())
        return _quantized(g, weight, 1 + max(most.bit_length(), (-1 - least).bit_length(), 1), signed=True)
    return weight


def _write(content: Content, path: Path, options: Record) -> Sequence[str]:
    demand("--format qonnx", TARGET.packages, EXTRA)
    chosen = options if isinstance(options, QonnxOptions) else QonnxOptions()
    model = _inferred(_proto(graph_of(content), content.header, chosen.batch))
    raw = model.model.SerializeToString(deterministic=True)
    write_atomic(path, raw)
    size = content.header.images
    kinds = sorted({str(model.get_tensor_datatype(n.output[0]).name) for n in model.graph.node})
    return (
        f"qonnx      {len(raw):,} bytes, {len(model.graph.node)} nodes of {', '.join(kinds)};"
        f" {INPUT} float32 {chosen.batch}×{size.channels}×{size.height}×{size.width} of 0 to 255",
    )


def _proto(g: Graph, header: Header, batch: int) -> Any:
    from onnx import TensorProto, helper
    from qonnx.util.basic import qonnx_make_model

    size, float32 = header.images, TensorProto.FLOAT
    shape = [batch, size.channels, size.height, size.width]
    graph = helper.make_graph(
        nodes(g),
        f"{header.method} {header.model}",
        [helper.make_tensor_value_info(INPUT, float32, shape)],
        [helper.make_tensor_value_info(OUTPUT, float32, [batch, len(header.classes)])],
        initializer=initializers(g),
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)]
    model = qonnx_make_model(graph, opset_imports=opsets, ir_version=IR)
    helper.set_model_props(model, {HEADER: strict_json.dump(header.model_dump())})
    return model


def _inferred(proto: Any) -> Any:
    """A ``ModelWrapper`` with shapes and data types."""
    from qonnx.core.datatype import DataType
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.infer_datatypes import InferDataTypes
    from qonnx.transformation.infer_shapes import InferShapes

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ModelWrapper(proto)
        model.set_tensor_datatype(INPUT, DataType["UINT8"])
        return model.transform(InferShapes()).transform(InferDataTypes())


def _open(path: Path) -> Opened:
    demand(f"{path}: to run it, bnn-eval", TARGET.packages, EXTRA)
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx

    try:
        model = ModelWrapper(str(path))
    except Exception as error:
        raise DataError(f"{path}: qonnx does not take it: {error}") from None
    text = {prop.key: prop.value for prop in model.model.metadata_props}.get(HEADER)
    if text is None:
        raise DataError(f"{path}: a QONNX file, but none of bnn-export: it does not say what its images are")
    given, answer = model.graph.input[0].name, model.graph.output[0].name
    batch = model.get_tensor_shape(given)[0]

    def logits(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        found = []
        for at in range(0, len(images), batch):
            some = images[at : at + batch].transpose(0, 3, 1, 2).astype(np.float32)
            full = np.concatenate([some, np.repeat(some[:1], batch - len(some), 0)])
            with _older_nodes():
                found.append(execute_onnx(model, {given: full})[answer][: len(some)])
        return np.concatenate(found)

    return Opened(parse_header(text), named("qonnx"), logits)


@contextmanager
def _older_nodes() -> Iterator[None]:
    """qonnx runs each node in a model of its own, of the newest IR version that onnx knows, which an ONNX
    Runtime of the same day may not read."""
    from qonnx.core import onnx_exec

    before = onnx_exec.qonnx_make_model
    onnx_exec.qonnx_make_model = partial(before, ir_version=IR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        onnx_exec.qonnx_make_model = before


def _is_qonnx(path: Path) -> bool:
    """Whether a file is ONNX with quantizers of QONNX, which its first node is."""
    try:
        with path.open("rb") as file:
            return path.suffix.lower() in (".onnx", ".qonnx") and DOMAIN.encode() in file.read(_START)
    except OSError:
        return False


TARGET: Target = Target(
    name="qonnx",
    summary="ONNX with BipolarQuant and Quant, for FINN and hls4ml",
    write=_write,
    open=_open,
    recognises=_is_qonnx,
    endings=(".qonnx",),
    also=(".onnx",),
    options=QonnxOptions,
    packages=("onnx", "onnxruntime", "qonnx"),
    extra=EXTRA,
)
