"""PyTorch, real-valued: the measure of all ratios."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.cases import Case
from bench.timing import Engine

FP32 = "torch fp32"


def products(case: Case, threads: int) -> list[Engine]:
    """``conv2d`` with activations and weights channels-last, or ``linear``."""
    torch.set_num_threads(threads)
    shape = case.shape
    result: list[Tensor] = []
    if shape.dense:
        x, w = torch.from_numpy(case.x[:, :, 0, 0]), torch.from_numpy(case.w[:, :, 0, 0]).contiguous()
    else:
        last = torch.channels_last
        x = torch.from_numpy(case.x).contiguous(memory_format=last)
        w = torch.from_numpy(case.w).contiguous(memory_format=last)

    def call() -> None:
        with torch.inference_mode():
            y = F.linear(x, w) if shape.dense else F.conv2d(x, w, padding=shape.padding)
        result[:] = [y]

    return [Engine(FP32, call, deviation=lambda: case.deviation(result[0].numpy()))]
