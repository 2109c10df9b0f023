"""Ways to run a network's forward and backward pass: as written, compiled, compiled into CUDA graphs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

MODES: dict[str, dict[str, Any]] = {
    "eager": {},
    "compiled": {"mode": "default"},
    "graphs": {"mode": "reduce-overhead"},
}


def set_mode(model: nn.Module, mode: str, *, rehearse: bool) -> None:
    """Compile a model in place, whole, at its first call: where a graph would break, the call fails.

    ``rehearse``: trace it only, without a compiler for code.
    """
    if not MODES[mode]:
        return
    torch.compiler.reset()
    forward = model.forward

    def whole(images: Tensor) -> Tensor:
        # The compiler passes over frames of torch's own files, as a Sequential's forward is, and would
        # compile each block for itself.
        logits: Tensor = forward(images)
        return logits

    options = {"backend": "aot_eager"} if rehearse else MODES[mode]
    model.forward = torch.compile(whole, fullgraph=True, dynamic=False, **options)


def begin_step() -> None:
    """Tell CUDA graphs that outputs of the step before are no longer needed."""
    if torch.cuda.is_available():
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]  # in torch


def wait(device: torch.device) -> None:
    """Until the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
