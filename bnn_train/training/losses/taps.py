"""Outputs of modules inside a network, for the terms of a loss that compare more than logits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor, nn

from bnn_train.errors import RunError


@contextmanager
def tapped(model: nn.Module, patterns: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """The outputs, with their graphs, of the modules whose names match a glob, by name in the order in which
    they ran. The hooks live as long as the block, the outputs as long as what was yielded."""
    outputs: dict[str, Tensor] = {}

    def hook(name: str) -> Any:
        return lambda module, inputs, output: outputs.__setitem__(name, output)

    named = model.named_modules() if patterns else ()
    handles = [module.register_forward_hook(hook(name)) for name, module in named if _named(name, patterns)]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def chosen(outputs: Mapping[str, Tensor], patterns: Sequence[str], whose: str) -> dict[str, Tensor]:
    """Those of the outputs that one term asked for, by name. Raises RunError for a pattern that names
    nothing; ``whose``: the network, for the sentence."""
    found = {name: output for name, output in outputs.items() if _named(name, patterns)}
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in found):
            raise RunError(
                f"loss.terms: {pattern!r} names no module of the {whose} that gives an output; --dry-run"
                " prints the names of layers"
            )
    return found


def _named(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
