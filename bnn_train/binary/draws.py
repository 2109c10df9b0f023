"""Draws of weights where several processes train one network: all of them must draw the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_STREAMS: dict[str, torch.Generator] = {}
"""By type of device, the generator that weights draw from; empty where a process trains alone, and weights
draw from torch's own one like everything else."""


@contextmanager
def shared_weight_draws(device: torch.device, seed: int) -> Iterator[None]:
    """Let weights draw from a generator of their own inside, which starts at ``seed``."""
    _STREAMS[device.type] = torch.Generator(device).manual_seed(seed)
    try:
        yield
    finally:
        del _STREAMS[device.type]


@contextmanager
def weights_draw(device: torch.device) -> Iterator[None]:
    """Draws inside from torch's own generator are those of weights."""
    stream = _STREAMS.get(device.type)
    if stream is None:
        yield
        return
    own = (
        torch.cuda.default_generators[device.index or 0] if device.type == "cuda" else torch.default_generator
    )
    before = own.get_state()
    own.set_state(stream.get_state())
    try:
        yield
    finally:
        stream.set_state(own.get_state())
        own.set_state(before)
