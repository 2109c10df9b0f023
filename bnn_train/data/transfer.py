"""The way of a tensor to the device, without waiting for what the device is doing."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor]


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """``tensor`` there. A GPU fetches it from pinned memory when its turn comes; unpinned memory would have
    the host wait."""
    if device.type != "cuda":
        return tensor.to(device)
    pinned = tensor if tensor.is_pinned() else tensor.pin_memory()
    return pinned.to(device, non_blocking=True)


def ahead(batches: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    """The batches on the device. A GPU copies each on a stream of its own while it computes on the one
    before; elsewhere they pass as they are."""
    if device.type != "cuda":
        for batch in batches:
            yield batch[0].to(device), batch[1].to(device)
        return
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # in torch
    waiting = _copied(next(batches, None), stream, device)
    while waiting is not None:
        torch.cuda.current_stream(device).wait_stream(stream)
        ready = waiting
        for tensor in ready:  # the allocator must not hand its memory on before the step has read it
            tensor.record_stream(torch.cuda.current_stream(device))
        waiting = _copied(next(batches, None), stream, device)
        yield ready


def _copied(batch: Batch | None, stream: torch.cuda.Stream, device: torch.device) -> Batch | None:
    if batch is None:
        return None
    with torch.cuda.stream(stream):
        return to_device(batch[0], device), to_device(batch[1], device)
