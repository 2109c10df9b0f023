"""Arithmetic that rounds in one way everywhere."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


def numbers(code: dict[str, Any]) -> Tensor:
    """The number of each pattern of a code's planes: (offset + Σ_p values[p]·s_p)/denominator."""
    sums = torch.zeros(2 ** len(code["values"]))
    for pattern in range(len(sums)):
        signs = (2 * (pattern >> p & 1) - 1 for p in range(len(code["values"])))
        sums[pattern] = code["offset"] + sum(v * s for v, s in zip(code["values"], signs, strict=True))
    return torch.div(sums, code["denominator"], rounding_mode="floor")


def taps(size: int, steps: int, kernel: int, stride: int, padding: int, dilation: int) -> list[list[int]]:
    """The taps of a window that lie inside an axis, for each of its outputs."""
    starts = [o * stride - padding for o in range(steps)]
    return [[t for t in range(kernel) if 0 <= start + t * dilation < size] for start in starts]


def classes(size: int, kernel: int, stride: int, padding: int, dilation: int) -> list[int]:
    """The border class of each output of an axis: the same taps inside, numbered as they appear."""
    steps = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    known: dict[tuple[int, ...], int] = {}
    seen = taps(size, steps, kernel, stride, padding, dilation)
    return [known.setdefault(tuple(inside), len(known)) for inside in seen]


def added(parts: list[Tensor]) -> Tensor:
    """The sum, from the first to the last."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def fused(y: Tensor, factor: Tensor, summand: Tensor) -> Tensor:
    """y·factor + summand with one rounding to float32.

    The product is exact in float64; s is the sum there and e what its rounding lost. float32(s) is right but
    where s is the very middle of two float32: there e decides.
    """
    a, c = y.double() * factor.double(), summand.double()
    s = a + c
    back = s - a
    e = (a - (s - back)) + (c - back)
    near = s.float()
    beyond = s - near.double()
    other = (s + beyond).float()
    return torch.where((other.double() - s == beyond) & (beyond * e > 0), other, near)


def sigmoid(y: Tensor) -> Tensor:
    """1/(1 + e^−y) by operations that every machine does alike."""
    t = -y.double().abs().clamp(max=104.0)
    k = torch.round(t * float.fromhex("0x1.71547652b82fep+0"))
    r = (t - k * float.fromhex("0x1.62e42feep-1")) - k * float.fromhex("0x1.a39ef35793c76p-33")
    e = torch.full_like(r, 1 / math.factorial(13))
    for i in range(12, -1, -1):
        e = e * r + 1 / math.factorial(i)
    e = torch.ldexp(e, k)
    return (torch.where(y < 0, e, torch.ones_like(e)) / (1 + e)).float()
