"""OpenVINO: float32, bfloat16, int8, and its binary convolution in a graph written by hand.

No converter emits ``BinaryConvolution``. Its weights are u1, O×I×H×W, lowest bit first, set = +1. Its input
is N×C×H×W behind a ``FakeQuantize`` with the outputs 0 and 1 for −1 and +1 (with −1 and 1 the results are
silently wrong); a ``Transpose`` before it ends the process. With ``pad_value`` 0 padded taps are skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset15 as ops
from numpy.typing import NDArray

from bench import graphs
from bench.cases import Case
from bench.timing import Engine

FP32, BF16, INT8 = "OV fp32", "OV bf16", "OV int8"
BINARY, BINARY_NODE = "OV binary call", "OV binary node"
CORE = ov.Core()

Check = Callable[[NDArray[Any]], float]


def products(case: Case, threads: int) -> list[Engine]:
    """All four, and the binary one's kernel time by its own counters."""
    x = case.x[:, :, 0, 0] if case.shape.dense else case.x
    step = graphs.output_scale(case)

    def off(y: NDArray[Any]) -> float:
        return case.deviation((y.astype(np.float32) - graphs.ZERO) * step)

    real, eighth = graphs.real(case), float(np.abs(case.truth).max()) / 256
    return [
        engine(FP32, real, x, threads, case.deviation),
        engine(BF16, real, x, threads, case.deviation, eighth, precision="bf16"),
        engine(INT8, graphs.quantized(case), graphs.bytes_of(x), threads, off, step),
        engine(BINARY, binary_model(case), case.x, threads, case.deviation),
        engine(BINARY_NODE, binary_model(case), case.x, threads, case.deviation, node="BinaryConvolution"),
    ]


def engine(
    name: str,
    model: Any,
    x: NDArray[Any],
    threads: int,
    deviation: Check | None = None,
    tolerance: float = 0.0,
    *,
    precision: str = "f32",
    node: str | None = None,
) -> Engine:
    """A compiled model (of a graph, a serialized ONNX model, or a file). With ``node`` the time is that of
    nodes of that type."""
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": precision,
        "PERF_COUNT": node is not None,
    }
    read = model if isinstance(model, ov.Model) else CORE.read_model(model)
    request = CORE.compile_model(read, "CPU", settings).create_infer_request()
    request.set_input_tensor(_owned(np.ascontiguousarray(x), ov.Type(x.dtype)))
    inner = None if node is None else (lambda: _seconds(request, node))
    check = None if deviation is None else (lambda: deviation(request.get_output_tensor().data))
    return Engine(name, lambda: request.infer(share_outputs=True), inner, check, tolerance)


def _seconds(request: Any, node: str) -> float:
    spent = [info.real_time.total_seconds() for info in request.profiling_info if info.node_type == node]
    if not spent:
        raise RuntimeError(f"OpenVINO ran no node {node}; has it changed the graph?")
    return float(sum(spent))


def binary_model(case: Case) -> Any:
    """float32 N×I×H×W → N×O×H×W: the signs of the input times ±1 weights."""
    s, n = case.shape, case.batch
    data = ops.parameter([n, s.inputs, s.size, s.size], ov.Type.f32)
    zero, one = (np.full((1, 1, 1, 1), value, np.float32) for value in (0, 1))
    signs = ops.fake_quantize(data, zero, zero, zero, one, 2)
    bits = np.packbits(case.w.ravel() > 0, bitorder="little")
    weight = ov.op.Constant(_owned(bits, ov.Type.u1, case.w.shape))
    pads = [s.padding] * 2
    node = ops.binary_convolution(signs, weight, [1, 1], pads, pads, [1, 1], "xnor-popcount", 0.0)
    return ov.Model([node], [data], "binary")


def _owned(data: NDArray[Any], kind: Any, shape: tuple[int, ...] | None = None) -> Any:
    """A tensor with its own copy: one that shares an array's memory doesn't keep the array."""
    tensor = ov.Tensor(kind, ov.Shape(shape or data.shape))
    tensor.data[:] = data
    return tensor
