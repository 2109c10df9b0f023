"""Batch norms over the images of all processes, on any device; torch's own need GPUs, and would turn
shift-based norms into plain ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bnn_train.binary.shift_norm import Mean, ShiftNorm1d, ShiftNorm2d
from bnn_train.errors import RunError
from bnn_train.world import World


class Synced:
    """The part that all such norms share; mixed in before the norm of one process."""

    world: World
    counted: bool
    """Whether the images of this process count; where it has only borrowed some, they do not."""
    apart: bool
    """Whether each process goes by its own images, as the norm of one process does."""

    def total(self, x: Tensor) -> Tensor:
        """The sum over the processes of numbers that stand for the images counted here."""
        whole = x.clone() if self.counted else torch.zeros_like(x)
        self.world.add([whole])
        return whole

    def total_back(self, x: Tensor) -> Tensor:
        """The sum of gradients; 0 where the images of this process are not among those that it falls on."""
        whole = self.total(x)
        return whole if self.counted else torch.zeros_like(whole)


class _SyncedNorm(Synced, _BatchNorm):
    """y = γ·(x − mean)/√(σ² + ε) + β, mean and σ² over the images of all processes."""

    def forward(self, input: Tensor) -> Tensor:
        """N×C×H×W or N×F → the same."""
        if self.apart or not self.training:
            return super().forward(input)
        self._check_input_dim(input)  # type: ignore[no-untyped-call]  # in torch
        mean, variance, count = self._statistics(input)
        self._track(mean, variance, count)
        result: Tensor = _Normalized.apply(  # type: ignore[no-untyped-call]  # in torch
            input, self.weight, self.bias, mean, variance, count, self.eps, self.total_back
        )
        return result

    @torch.no_grad()
    def _statistics(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and σ² of each channel, and their count. Each process sends n, n·mean and n·(σ² + mean²) in
        float64, so that nothing is lost where they are added."""
        wide = x.float() if x.dtype.itemsize < 4 else x
        own_mean, own_variance = torch.batch_norm_update_stats(wide, None, None, 0.0)
        n = x.numel() // x.shape[1]
        mean, variance = own_mean.double(), own_variance.double()
        sums = torch.cat([mean.new_tensor([n]), n * mean, n * (variance + mean.square())])
        total = self.total(sums)
        count, (first, second) = total[:1], total[1:].view(2, -1)
        mean = first / count
        return mean, (second / count - mean.square()).clamp_(min=0), count

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        if self.num_batches_tracked is None or self.running_mean is None or self.running_var is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean), share)
        self.running_var.lerp_((variance * (count / (count - 1))).to(self.running_var), share)


class _Normalized(torch.autograd.Function):
    """∂x = γ·(g − Σg/n − x̂·Σ(g·x̂)/n)/√(σ² + ε), both sums over all processes. γ and β have the sums of this
    process alone, since every parameter's gradient is added over them later."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        gamma: Tensor | None,
        beta: Tensor | None,
        mean: Tensor,
        variance: Tensor,
        count: Tensor,
        eps: float,
        total: Callable[[Tensor], Tensor],
    ) -> Tensor:
        kind = torch.promote_types(x.dtype, torch.float32)
        mean, variance = mean.to(kind), variance.to(kind)
        ctx.save_for_backward(x, gamma, mean, variance, count)
        ctx.total, ctx.eps = total, eps
        return F.batch_norm(x, mean, variance, gamma, beta, eps=eps)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, gamma, mean, variance, count = ctx.saved_tensors
        wide = x.to(mean.dtype)
        grad_x, slope, level = torch.ops.aten.native_batch_norm_backward(
            grads[0].to(wide.dtype),
            wide,
            gamma,
            mean,
            variance,
            None,
            None,
            False,
            ctx.eps,
            [True, True, True],
        )  # by given mean and σ²: γ·g/√(σ² + ε), Σ(g·x̂), Σg
        own = torch.stack([slope, level])
        slope, level = (ctx.total(own.double()) / count).to(mean.dtype)
        factor = (variance + ctx.eps).rsqrt() if gamma is None else (variance + ctx.eps).rsqrt() * gamma
        shared = F.batch_norm(wide, mean, variance, slope * factor, level * factor, eps=ctx.eps)
        grad_x = grad_x.sub_(shared).to(x.dtype)
        return grad_x, *(None if gamma is None else part for part in own), *[None] * 5


class SyncedNorm1d(_SyncedNorm, nn.BatchNorm1d):
    """Over N×F of all processes."""


class SyncedNorm2d(_SyncedNorm, nn.BatchNorm2d):
    """Over N×C×H×W of all processes."""


class _SyncedShiftNorm(Synced):
    def _means(self, x: Tensor) -> tuple[Mean, Mean]:
        if self.apart:
            return super()._means(x)  # type: ignore[misc, no-any-return]  # of the norm it is mixed into
        dims = (0, *range(2, x.dim()))
        count = self.total(torch.tensor([x.numel() / x.shape[1]], dtype=torch.float64, device=x.device))

        def mean(y: Tensor, total: Mean) -> Tensor:
            return (total(y.sum(dims, keepdim=True, dtype=torch.float64)) / count).to(y.dtype)

        return partial(mean, total=self.total), partial(mean, total=self.total_back)


class SyncedShiftNorm1d(_SyncedShiftNorm, ShiftNorm1d):
    """Over N×F of all processes."""


class SyncedShiftNorm2d(_SyncedShiftNorm, ShiftNorm2d):
    """Over N×C×H×W of all processes."""


SYNCED: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: SyncedNorm1d,
    nn.BatchNorm2d: SyncedNorm2d,
    ShiftNorm1d: SyncedShiftNorm1d,
    ShiftNorm2d: SyncedShiftNorm2d,
}
"""By the norm of one process, that of several; no other kind can be synchronised."""


def synchronised(model: nn.Module, world: World) -> nn.Module:
    """The network with such norms in the place of its own, which share their parameters and statistics, under
    the same names. Raises RunError for a norm of another kind."""
    made: dict[int, nn.Module] = {}
    for name, module in list(model.named_modules(remove_duplicate=False)):
        if not isinstance(module, _BatchNorm):
            continue
        if type(module) not in SYNCED:
            raise RunError(
                f"training.sync_norms: {name} is a {type(module).__name__}, which cannot be synchronised;"
                " leave sync_norms out"
            )
        parent, _, key = name.rpartition(".")
        made[id(module)] = made.get(id(module)) or _of(module, world)
        setattr(model.get_submodule(parent), key, made[id(module)])
    return model


def _of(norm: _BatchNorm, world: World) -> nn.Module:
    made = SYNCED[type(norm)].__new__(SYNCED[type(norm)])
    made.__dict__.update(norm.__dict__)  # a module is what its dictionaries hold
    made.world, made.counted, made.apart = world, True, False  # type: ignore[assignment]  # no parameters
    return made


@contextmanager
def uncounted(model: nn.Module) -> Iterator[None]:
    """Let the images of passes inside, which are only borrowed, not count in synchronised norms."""
    for norm in _synced(model):
        norm.counted = False
    try:
        yield
    finally:
        for norm in _synced(model):
            norm.counted = True


@contextmanager
def norms_apart(model: nn.Module) -> Iterator[None]:
    """Let each process go by its own images inside."""
    for norm in _synced(model):
        norm.apart = True
    try:
        yield
    finally:
        for norm in _synced(model):
            norm.apart = False


def _synced(model: nn.Module) -> list[Synced]:
    return [module for module in model.modules() if isinstance(module, Synced)]
