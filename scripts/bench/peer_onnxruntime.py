"""ONNX Runtime: float32, and int8 in whichever of its two layouts is faster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from bench import graphs
from bench.cases import Case
from bench.timing import Engine

FP32, INT8, INT8_LAST = "ORT fp32", "ORT int8", "ORT int8 NHWC"


def products(case: Case, threads: int) -> list[Engine]:
    """float32; int8 between (de)quantizing nodes; for maps also the channel-last operator.

    Its ``ConvInteger`` is not measured: it is many times slower than all of these.
    """
    dense = case.shape.dense
    x = case.x[:, :, 0, 0] if dense else case.x
    engines = [engine(FP32, graphs.real(case), x, threads, case.deviation)]
    step = graphs.output_scale(case)

    def off(y: NDArray[Any]) -> float:
        return case.deviation((y.astype(np.float32) - graphs.ZERO) * step)

    codes = graphs.bytes_of(x)
    engines.append(engine(INT8, graphs.quantized(case), codes, threads, off, step))
    if not dense:
        last = np.ascontiguousarray(codes.transpose(0, 2, 3, 1))
        model = graphs.quantized_channels_last(case)
        engines.append(engine(INT8_LAST, model, last, threads, lambda y: off(y.transpose(0, 3, 1, 2)), step))
    return engines


def engine(
    name: str,
    model: bytes | str,
    x: NDArray[Any],
    threads: int,
    deviation: Callable[[NDArray[Any]], float] | None = None,
    tolerance: float = 0.0,
) -> Engine:
    """A session (of a serialized model or its file) with input and output bound once."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    binding.bind_ortvalue_input(session.get_inputs()[0].name, onnxruntime.OrtValue.ortvalue_from_numpy(x))
    binding.bind_output(session.get_outputs()[0].name, "cpu")
    check = None
    if deviation is not None:

        def check() -> float:
            return deviation(binding.get_outputs()[0].numpy())

    return Engine(name, lambda: session.run_with_iobinding(binding), None, check, tolerance)
