"""The processes that train one network together, and what they tell each other.

Numbers of the network go over the device's own backend (NCCL between GPUs), everything else over Gloo between
the hosts, which waits for no device. Text is JSON; nothing is pickled.
"""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from bnn_train import errors
from bnn_train.errors import BnnError, Interrupted, LostError, RunError
from bnn_train.launch import launched

PATIENCE = timedelta(minutes=10)
"""How long a process waits for another one that neither answers nor ends."""
SMALL = 8192
"""So many numbers each process sends to each, on CPUs: Gloo's sums take several rounds of messages."""
_KINDS = {kind.__name__: kind for kind in vars(errors).values() if isinstance(kind, type)}


@dataclass(frozen=True)
class World:
    """The place of this process among ``size``; one process alone needs no other and sends nothing."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    """The place among the processes of this machine: the number of its GPU."""

    @property
    def is_writer(self) -> bool:
        """Whether this process writes the files of the run, and speaks."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        """Whether there is no other process."""
        return self.size == 1

    def add(self, tensors: Sequence[Tensor]) -> None:
        """Put the sum over the processes into every tensor; one message for each type of number. All
        processes get the same bits."""
        if self.alone:
            return
        kinds: dict[tuple[torch.device, torch.dtype], list[Tensor]] = defaultdict(list)
        for tensor in tensors:
            kinds[tensor.device, tensor.dtype].append(tensor)
        for same in kinds.values():
            flat = torch.cat([tensor.reshape(-1) for tensor in same])
            flat = self._sum(flat)
            parts = torch.split(flat, [tensor.numel() for tensor in same])
            for tensor, part in zip(same, parts, strict=True):
                tensor.copy_(part.view(tensor.shape))

    def largest(self, *numbers: int) -> list[int]:
        """The largest of each number over the processes."""
        if self.alone:
            return list(numbers)
        return torch.stack(self._all(torch.tensor(numbers, dtype=torch.int64))).amax(0).tolist()

    def _sum(self, x: Tensor) -> Tensor:
        if x.device.type == "cpu" and x.numel() <= SMALL:
            return torch.stack(self._all(x)).sum(0)
        _told(lambda: dist.all_reduce(x))
        return x

    def _all(self, x: Tensor) -> list[Tensor]:
        """The tensor of each process, in their order."""
        every = [torch.empty_like(x) for _ in range(self.size)]
        _told(lambda: dist.all_gather(every, x))
        return every

    def copy_first(self, tensors: Mapping[str, Tensor]) -> None:
        """Give every process the numbers of the first one."""
        for _, tensor in () if self.alone else sorted(tensors.items()):
            whole = tensor.contiguous()  # NCCL and Gloo send memory as it lies
            _told(lambda whole=whole: dist.broadcast(whole, 0))  # type: ignore[misc]
            tensor.copy_(whole)

    def agree(self, tensors: Mapping[str, Tensor]) -> None:
        """Raise RunError unless these tensors have the same bits in all processes."""
        if self.alone:
            return
        sums = torch.stack([_checksum(tensor) for tensor in tensors.values()])
        bounds = torch.cat([sums, -sums])
        _told(lambda: dist.all_reduce(bounds, op=dist.ReduceOp.MAX))
        most, least = bounds.chunk(2)
        for name, differs in zip(tensors, (most != -least).tolist(), strict=True):
            if differs:
                raise RunError(
                    f"the processes no longer have the same {name}; they must run on processors, and GPUs, of"
                    " one kind, with the same versions"
                )

    def told_by(self, source: int, value: Any) -> Any:
        """The JSON value that process ``source`` gives; what the others give is not read."""
        if self.alone:
            return value
        text = json.dumps(value).encode() if self.rank == source else b""
        return json.loads(self.sent(text, source))

    def sent(self, content: bytes, source: int = 0) -> bytes:
        """The bytes of process ``source``."""
        if self.alone:
            return content
        length = torch.tensor(len(content))
        _told(lambda: dist.broadcast(length, source))
        whole = torch.zeros(int(length), dtype=torch.uint8)
        if self.rank == source and content:
            whole = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        _told(lambda: dist.broadcast(whole, source))
        return whole.numpy().tobytes()

    @contextmanager
    def agreed(self) -> Iterator[None]:
        """Run what needs no other process; an error in one of them then ends all, by the same sentence."""
        failure: Exception | None = None
        try:
            yield
        except Exception as error:
            if self.alone:
                raise
            failure = error
        self.settle(failure)

    def settle(self, failure: Exception | None, *numbers: int) -> list[int]:
        """Tell whether this process failed; the largest of each number where none did.

        Where one did, its own error is raised there, and in the others one of the same kind and sentence.
        """
        first, *most = self.largest(0 if failure is None else self.size - self.rank, *numbers)
        if not first:
            return most
        told = self.told_by(self.size - first, None if failure is None else _described(failure))
        raise failure if failure is not None else _rebuilt(told, self.size - first)


ALONE = World()


def join() -> World:
    """Meet the other processes that the launcher started; alone where it started none."""
    if not launched():
        return ALONE
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
    _told(lambda: dist.init_process_group(backend, timeout=PATIENCE))
    return World(dist.get_rank(), dist.get_world_size(), int(os.environ.get("LOCAL_RANK", "0")))


def leave(world: World) -> None:
    """Part from the others, once all of them are done."""
    if not world.alone:
        dist.destroy_process_group()


def _told(message: Callable[[], object]) -> None:
    try:
        message()
    except (RuntimeError, ValueError) as error:
        reason = re.sub(r"^\[[^]]*\]\s*", "", str(error).strip()).partition("\n")[0].partition(". ")[0]
        raise LostError(
            f"another process of the run ended or cannot be reached ({reason}); start them all again"
        ) from error


def _checksum(tensor: Tensor) -> Tensor:
    """A whole number of the bits of a tensor and their places."""
    width = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]
    whole = tensor.detach().contiguous().reshape(-1).view(width).long()
    weights = torch.arange(1, whole.numel() + 1, device=whole.device)
    return (whole * weights).sum().remainder(2**62)


def _described(error: Exception) -> dict[str, Any]:
    if isinstance(error, BnnError):
        return {"kind": type(error).__name__, "told": str(error), "code": error.exit_code}
    return {"kind": "", "told": f"{type(error).__name__}: {error}", "code": 1}


def _rebuilt(told: Mapping[str, Any], rank: int) -> BnnError:
    """The error of another process as one of this."""
    text = f"{told['told']} (process {rank})"
    if told["kind"] == Interrupted.__name__:
        return Interrupted(told["told"], told["code"])
    kind = _KINDS.get(told["kind"], RunError)
    if issubclass(kind, errors.ConfigError):
        return errors.ConfigError(text.split("\n"))
    return kind(text) if issubclass(kind, BnnError) else RunError(text)
