"""Numbers of a few bits with an exponent that they share (Courbariaux, Bengio, David, arXiv 1412.7024)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bnn_train.spec.scalars import Shared

UNKNOWN, DEFAULT = 127, 5
"""An exponent before the first batch, and the authors' start, which stands in for it."""


class Grid(nn.Module):
    """q(x) = step·clip(round(x/step), ±(2^B − 1)), step = 2^(I − B); halves go away from 0.

    B bits beside the sign. I, the exponent, follows the numbers: over F batches the share of |q| ≥ (2^B − 1)·
    step is averaged at I and at I − 1. Above ``overflow`` at I: I + 1; else above it at I − 1: I stays; else
    I − 1. Nothing of this waits for the device.
    """

    exponent: Tensor
    seen: Tensor
    """Batches since the last decision, and the sums of both shares over them."""

    def __init__(self, spec: Shared) -> None:
        super().__init__()
        self.spec, self.held = spec, False
        start = UNKNOWN if spec.exponent is None else spec.exponent
        self.register_buffer("exponent", torch.tensor(start, dtype=torch.int32))
        self.register_buffer("seen", torch.zeros(3))

    @torch.no_grad()
    def find(self, x: Tensor) -> None:
        """Let the range hold these numbers, the first that are seen, where no option says how it begins."""
        if not self.held and x.numel():
            own = torch.frexp(x.detach().abs().amax())[1].clamp(-31, 31).to(self.exponent.dtype)
            self.exponent.copy_(torch.where(self.exponent == UNKNOWN, own, self.exponent))

    def quantized(self, x: Tensor, bits: int | None = None) -> Tensor:
        """The nearest numbers of the grid; ``bits``: of a finer one with the same range."""
        count = self.spec.bits if bits is None else bits
        step, most = self._unit(x, count), 2.0**count - 1
        return ((x / step).abs().add_(0.5).floor_().clamp_(max=most) * step).copysign_(x)

    def _unit(self, x: Tensor, bits: int) -> Tensor:
        exponent = torch.where(self.exponent == UNKNOWN, DEFAULT, self.exponent)
        return torch.ldexp(torch.ones((), dtype=x.dtype, device=x.device), exponent - bits)

    @torch.no_grad()
    def follow(self, q: Tensor, bits: int | None = None) -> None:
        """Count the quantized numbers of a batch, and move the exponent where F batches are full."""
        if not self.spec.dynamic or self.held or not q.numel():
            return
        count = self.spec.bits if bits is None else bits
        most = (2.0**count - 1) * self._unit(q, count)
        shares = [(q.abs() >= end).to(self.seen.dtype).mean() for end in (most, most / 2)]
        self.seen.add_(torch.stack([self.seen.new_ones(()), *shares]))
        full = self.seen[0] >= self.spec.every
        over, half = (self.seen[1:] / self.seen[0] > self.spec.overflow).unbind()
        move = torch.where(over, 1, torch.where(half, 0, -1))
        moved = (self.exponent + torch.where(full, move, 0)).clamp(-126, 126)
        self.exponent.copy_(torch.where(self.exponent == UNKNOWN, UNKNOWN, moved))
        self.seen.mul_(torch.where(full, 0.0, 1.0).to(self.seen.dtype))


def hold(model: nn.Module) -> None:
    """Let no exponent move, and gradients pass as they are: for instruments that compare derivatives."""
    for module in model.modules():
        if isinstance(module, Grid):
            module.held = True
