"""ONNX graphs of one product, for the runtimes that read ONNX."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from bench.cases import Case

OPSET, IR = 17, 10
ZERO = 128
"""The byte that stands for 0."""


def output_scale(case: Case) -> float:
    """Of the int8 result: the truth's range over seven bits."""
    return float(np.abs(case.truth).max()) / 127


def bytes_of(x: NDArray[np.float32]) -> NDArray[np.uint8]:
    """±1 as bytes around ``ZERO``, scale 1."""
    return np.asarray(x + ZERO, np.uint8)


def real(case: Case) -> bytes:
    """float32 N×I×H×W → N×O×H×W, or dense N×I → N×O."""
    if case.shape.dense:
        weight = numpy_helper.from_array(_columns(case).astype(np.float32), "w")
        nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    else:
        weight = numpy_helper.from_array(case.w, "w")
        nodes = [helper.make_node("Conv", ["x", "w"], ["y"], **_window(case))]
    return _model(nodes, case, TensorProto.FLOAT, [weight])


def quantized(case: Case) -> bytes:
    """The same from bytes to bytes, between (de)quantizing nodes as quantizers write them."""
    dense = case.shape.dense
    weight = _columns(case) if dense else case.w
    constants = [*_scales(case), numpy_helper.from_array(weight.astype(np.int8), "w")]
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "one", "zero"], ["xf"]),
        helper.make_node("DequantizeLinear", ["w", "one", "wzero"], ["wf"]),
        helper.make_node("MatMul" if dense else "Conv", ["xf", "wf"], ["yf"], **_window(case)),
        helper.make_node("QuantizeLinear", ["yf", "scale", "zero"], ["y"]),
    ]
    return _model(nodes, case, TensorProto.UINT8, constants)


def quantized_channels_last(case: Case) -> bytes:
    """ONNX Runtime's own channel-last operator, so that nothing is transposed: bytes N×H×W×I → N×H×W×O."""
    constants = [*_scales(case), numpy_helper.from_array(case.w.astype(np.int8), "w")]
    inputs = ["x", "one", "zero", "w", "one", "wzero", "scale", "zero"]
    node = helper.make_node(
        "QLinearConv", inputs, ["y"], domain="com.microsoft", channels_last=1, **_window(case)
    )
    return _model([node], case, TensorProto.UINT8, constants, channels_last=True)


def _columns(case: Case) -> NDArray[np.float32]:
    return np.ascontiguousarray(case.w.reshape(case.shape.outputs, -1).T)


def _window(case: Case) -> dict[str, list[int]]:
    s = case.shape
    return {} if s.dense else {"kernel_shape": [s.kernel] * 2, "pads": [s.padding] * 4, "strides": [1, 1]}


def _scales(case: Case) -> list[TensorProto]:
    values = {
        "one": np.array(1, np.float32),
        "scale": np.array(output_scale(case), np.float32),
        "zero": np.array(ZERO, np.uint8),
        "wzero": np.array(0, np.int8),
    }
    return [numpy_helper.from_array(value, name) for name, value in values.items()]


def _model(
    nodes: Sequence[onnx.NodeProto],
    case: Case,
    kind: int,
    constants: Sequence[TensorProto],
    *,
    channels_last: bool = False,
) -> bytes:
    def shape(channels: int) -> list[int]:
        n, s = case.batch, case.shape.size
        if case.shape.dense:
            return [n, channels]
        return [n, s, s, channels] if channels_last else [n, channels, s, s]

    graph = helper.make_graph(
        list(nodes),
        "product",
        [helper.make_tensor_value_info("x", kind, shape(case.shape.inputs))],
        [helper.make_tensor_value_info("y", kind, shape(case.shape.outputs))],
        list(constants),
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR)
    return bytes(model.SerializeToString())
