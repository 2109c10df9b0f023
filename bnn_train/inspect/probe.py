"""One look into a network as it computes, which leaves no trace in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

See = Callable[[str, Tensor, Tensor], None]


def observe(model: nn.Module, images: Tensor, modules: Iterable[tuple[str, nn.Module]], see: See) -> None:
    """Run ``model`` once on ``images`` in evaluation mode and call ``see(name, input, output)`` at
    every call of the named ``modules``. Modes, hooks, buffers and random generators are as before."""
    watched = list(modules)
    with _undisturbed(model, images.device), torch.no_grad():
        handles = [_hook(module, name, see) for name, module in watched]
        try:
            model(images)
        finally:
            for handle in handles:
                handle.remove()


def _hook(module: nn.Module, name: str, see: See) -> RemovableHandle:
    def hook(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        see(name, inputs[0], output)

    return module.register_forward_hook(hook)


@contextmanager
def _undisturbed(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Evaluation mode inside; after it each module's own mode and the generators' states again.

    The generators matter: a stochastic quantizer may draw in evaluation mode too.
    """
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        for module, training in modes:
            module.training = training
