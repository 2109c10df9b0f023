"""A graph as an ONNX model."""

from __future__ import annotations

from typing import Any

import numpy as np

from bnn_train.export.targets.graph.graph import Graph, Node
from bnn_train.packed import strict_json
from bnn_train.packed.program import Header

INPUT, OUTPUT = "images", "logits"
HEADER = "bnn_train.header"
"""The key of the packed file's header among the model's metadata."""
OPSET, IR = 18, 10
"""BitwiseAnd came with opset 18; the IR version is the one of its time that runtimes of 2024 read."""


def model_proto(g: Graph, header: Header) -> Any:
    """An ``onnx.ModelProto`` of a whole network, any number of images at a time."""
    from onnx import TensorProto, helper

    size = header.images
    shape = ["N", size.height, size.width, size.channels]
    inputs = [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, shape)]
    outputs = [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N", len(header.classes)])]
    graph = helper.make_graph(
        nodes(g), f"{header.method} {header.model}", inputs, outputs, initializer=initializers(g)
    )
    name, _, version = header.made_by.partition(" ")
    model = helper.make_model(
        graph,
        producer_name=name,
        producer_version=version,
        ir_version=IR,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    helper.set_model_props(model, {HEADER: strict_json.dump(header.model_dump())})
    return model


def nodes(g: Graph) -> list[Any]:
    """The operators as ``NodeProto``."""
    return [_node(node) for node in g.nodes]


def _node(node: Node) -> Any:
    from onnx import helper

    more = {key: _attribute(value) for key, value in node.attributes.items()}
    return helper.make_node(
        node.kind, node.inputs, [node.output], name=node.output, domain=node.domain or None, **more
    )


def _attribute(value: Any) -> Any:
    from onnx import helper

    return helper.np_dtype_to_tensor_dtype(value) if isinstance(value, np.dtype) else value


def initializers(g: Graph) -> list[Any]:
    """The constants as ``TensorProto``."""
    from onnx import TensorProto, helper, numpy_helper

    found = []
    for name, array in g.constants.items():
        if name in g.halves:
            raw = np.ascontiguousarray(array, "<u2").tobytes()
            found.append(helper.make_tensor(name, TensorProto.BFLOAT16, array.shape, raw, raw=True))
        else:
            found.append(numpy_helper.from_array(array, name))
    return found
