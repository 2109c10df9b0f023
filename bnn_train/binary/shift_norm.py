"""Shift-based batch norm: every product with a power of two, so that shifts could compute it.

Hubara et al., arXiv 1602.02830 §1.3 and algorithm 2; what the paper leaves open is as in the authors' Torch7
code: the running statistic is that of 1/σ, and β is added as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def ap2(x: Tensor) -> Tensor:
    """AP2(x) = sign(x)·2^round(log₂|x|), the nearest power of two by its logarithm; AP2(0) = 0.

    From x's own exponent, so that no rounding of a logarithm enters.
    """
    mantissa, exponent = torch.frexp(x.detach())  # |mantissa| in [½, 1)
    exponent = exponent - (mantissa.abs().double() < 0.5**0.5).to(exponent.dtype)
    return torch.ldexp(mantissa.sign(), exponent)


def power_below(x: Tensor) -> Tensor:
    """2^⌊log₂ x⌋ of positive numbers, from their own exponent; 0 for 0."""
    mantissa, exponent = torch.frexp(x.detach())
    return torch.ldexp(mantissa.sign(), exponent - 1)


Mean = Callable[[Tensor], Tensor]


class _ShiftNorm(torch.autograd.Function):
    """Training. γ and β have the shape of the statistics, 1×C×1×1 or 1×F."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, scale: Tensor, centred: Tensor, mean: Mean
    ) -> Tensor:
        power, gain = ap2(scale), ap2(gamma)
        ctx.mean = mean
        ctx.save_for_backward(centred, power, gain)
        return centred * power * gain + beta

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None, None]:
        """Batch norm's gradients with AP2(C) in the place of C, as in the Torch7 code, which keeps no other
        copy; γ's passes its AP2 unchanged."""
        centred, power, gain = ctx.saved_tensors
        dims, g = _dims(centred), grads[0]
        shifted, h = ap2(centred), grads[0] * gain
        mean, slope = ctx.mean(h), ctx.mean(h * shifted)
        grad_x = power * (h - mean - shifted * power.square() * slope)
        grad_gamma = (g * shifted * power).sum(dims, keepdim=True)
        return grad_x, grad_gamma, g.sum(dims, keepdim=True), None, None, None


def _dims(x: Tensor) -> tuple[int, ...]:
    """All axes but the channels."""
    return (0, *range(2, x.dim()))


def _mean(x: Tensor) -> Tensor:
    return x.mean(_dims(x), keepdim=True)


class _ShiftNormBase(nn.modules.batchnorm._BatchNorm):
    """C = x − mean(x); σ² = mean(C·AP2(C)); y = AP2(γ)·C·AP2(1/√(σ² + ε)) + β."""

    running_scale: Tensor
    """The running average of 1/√(σ² + ε), which evaluation rounds to a power of two."""

    def __init__(self, channels: int, *, eps: float, momentum: float | None) -> None:
        super().__init__(channels, eps=eps, momentum=momentum)
        del self.running_var
        self.register_buffer("running_var", None)
        self.register_buffer("running_scale", torch.ones(channels))

    def reset_running_stats(self) -> None:
        """Mean 0, scale 1."""
        for name, start in (("running_mean", 0), ("running_scale", 1), ("num_batches_tracked", 0)):
            buffer = getattr(self, name, None)
            if buffer is not None:
                buffer.fill_(start)

    def forward(self, input: Tensor) -> Tensor:
        """N×C×H×W or N×F → the same."""
        self._check_input_dim(input)  # type: ignore[no-untyped-call]  # in torch
        if not self.training:
            return self._evaluated(input)
        x = input.to(self.weight.dtype)
        shape, (mean_of, mean_back) = [1, -1, *[1] * (x.dim() - 2)], self._means(x)
        with torch.no_grad():
            mean = mean_of(x)
            centred = x - mean
            scale = (mean_of(centred * ap2(centred)) + self.eps).rsqrt()
            self._track(mean, scale)
        gamma, beta = self.weight.view(shape), self.bias.view(shape)
        y: Tensor = _ShiftNorm.apply(x, gamma, beta, scale, centred, mean_back)  # type: ignore[no-untyped-call]  # in torch
        return y.to(input.dtype)

    def _means(self, x: Tensor) -> tuple[Mean, Mean]:
        """How numbers of the shape of ``x`` are averaged over all axes but the channels, and gradients."""
        return _mean, _mean

    def _track(self, mean: Tensor, scale: Tensor) -> None:
        """The running averages; cumulative ones without a momentum, as torch's own norms have it."""
        if self.num_batches_tracked is None or self.running_mean is None:
            return
        self.num_batches_tracked.add_(1)
        share = self.momentum or 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean.flatten(), share)
        self.running_scale.lerp_(scale.flatten(), share)

    def _evaluated(self, x: Tensor) -> Tensor:
        """Torch's own batch norm with powers of two: 1/√(2^−2k) is 2^k without rounding."""
        variance = ap2(self.running_scale).square().reciprocal()
        return F.batch_norm(x, self.running_mean, variance, ap2(self.weight), self.bias, eps=0.0)


class ShiftNorm1d(_ShiftNormBase, nn.BatchNorm1d):
    """Over N×F."""


class ShiftNorm2d(_ShiftNormBase, nn.BatchNorm2d):
    """Over N×C×H×W."""
