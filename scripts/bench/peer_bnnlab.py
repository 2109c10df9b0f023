"""bnn-lab: a packed dense product.

Its wheel asks for torch < 2.13 and numpy < 2, which its kernel does not need; ``pip install --no-deps``.
"""

from __future__ import annotations

import numpy as np
from bnn import kernels

from bench.cases import Case
from bench.timing import Engine

PACKED = "bnn-lab"


def products(case: Case, threads: int) -> list[Engine]:
    """Packed signs in, float32 out; dense layers only, no scale."""
    if not case.shape.dense or not kernels.native_kernel_available():
        return []
    kernels.set_num_threads(threads)
    x, n = kernels.pack_binary_pm1(case.x[:, :, 0, 0])
    w, _ = kernels.pack_binary_pm1(case.w[:, :, 0, 0])
    result: list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = []

    def call() -> None:
        result[:] = [kernels.binary_gemm_native_prepacked(x, w, n)]

    return [Engine(PACKED, call, deviation=lambda: case.deviation(result[0]))]
