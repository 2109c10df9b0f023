"""The real-valued twin of a network in every runtime that is here."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench import twins
from bench.timing import Engine

EAGER, FOLDED, COMPILED = "torch eager", "torch folded", "torch.compile"
FP32 = (EAGER, FOLDED, COMPILED, "ORT fp32", "OV fp32")
INT8 = ("ORT int8", "OV int8")
LOOSE = 1e-3
"""Of the largest logit: float32 in another order."""


def engines(
    peers: Sequence[str], model: nn.Module, x: Tensor, threads: int, *, compiled: bool
) -> list[Engine]:
    """``model`` in evaluation mode on the batch ``x``, channels-last; int8 for its speed alone."""
    truth = np.asarray(run(model, x)().numpy())
    scale = float(np.abs(truth).max())

    def off(y: NDArray[Any]) -> float:
        return float(np.abs(y - truth).max()) / scale

    made: list[Engine] = []
    if "torch" in peers:
        made += _torch(model, x, off, compiled=compiled)
    graphs = [peer for peer in peers if peer in ("onnxruntime", "openvino")]
    if graphs:
        with tempfile.TemporaryDirectory() as folder:
            path = twins.export(model, x, Path(folder, "twin.onnx"))
            images = np.ascontiguousarray(x.numpy())
            small = twins.quantized(path, images) if "onnxruntime" in peers else None
            for peer in graphs:
                made += (_onnxruntime if peer == "onnxruntime" else _openvino)(
                    path, small, images, threads, off
                )
    return made


def run(model: nn.Module, x: Tensor) -> Callable[[], Tensor]:
    """A forward pass without gradients."""

    def call() -> Tensor:
        with torch.no_grad():
            y: Tensor = model(x)
        return y

    return call


def _torch(model: nn.Module, x: Tensor, off: Callable[[Any], float], *, compiled: bool) -> list[Engine]:
    calls = {EAGER: run(model, x), FOLDED: run(twins.folded(model, x), x)}
    if compiled:
        frozen = torch.compile(twins.folded(model, x), options={"freezing": True})
        calls[COMPILED] = run(frozen, x)  # type: ignore[arg-type]  # behaves as a module
    return [_torch_engine(name, call, off) for name, call in calls.items()]


def _torch_engine(name: str, call: Callable[[], Tensor], off: Callable[[Any], float]) -> Engine:
    return Engine(name, call, deviation=lambda: off(call().numpy()), tolerance=LOOSE)


def _onnxruntime(path: Path, small: Path | None, x: Any, threads: int, off: Any) -> list[Engine]:
    from bench.peer_onnxruntime import engine

    made = [engine("ORT fp32", str(path), x, threads, off, LOOSE)]
    return made if small is None else [*made, engine("ORT int8", str(small), x, threads)]


def _openvino(path: Path, small: Path | None, x: Any, threads: int, off: Any) -> list[Engine]:
    from bench.peer_openvino import engine

    made = [
        engine("OV fp32", str(path), x, threads, off, LOOSE),
        engine("OV bf16", str(path), x, threads, precision="bf16"),
    ]
    return made if small is None else [*made, engine("OV int8", str(small), x, threads)]
