"""The peers that are installed, and how each computes a product."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

from bench.cases import Case
from bench.timing import Engine

PEERS = {"torch": "torch", "onnxruntime": "onnxruntime", "openvino": "openvino", "bnnlab": "bnn"}
"""By name; what must be importable."""
GRAPHS = ("onnxruntime", "openvino")
"""Those that read ONNX files, which ``onnx`` writes."""
INT8 = ("ORT int8", "ORT int8 NHWC", "OV int8")
FP32 = ("torch fp32", "ORT fp32", "OV fp32")

Products = Callable[[Case, int], list[Engine]]


def present(wanted: Sequence[str]) -> tuple[list[str], list[str]]:
    """The wanted peers that can be had, and for each other one a word why not."""
    found, missing = [], []
    for name in wanted:
        try:
            for module in [PEERS[name], *(["onnx"] if name in GRAPHS else [])]:
                import_module(module)
        except (ImportError, OSError) as error:
            missing.append(f"{name} ({error})")
        else:
            found.append(name)
    return found, missing


def products(names: Sequence[str], case: Case, threads: int) -> list[Engine]:
    """Every engine of the named peers for one product."""
    made: list[Engine] = []
    for name in names:
        build: Products = import_module(f"bench.peer_{name}").products
        made += build(case, threads)
    return made
