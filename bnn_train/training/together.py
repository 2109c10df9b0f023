"""A step of several processes: each has a part of every batch, and all move by the gradient of the whole.

The gradients are added here, in one message after the last backward pass, and not by torch's
DistributedDataParallel. That would send them while the pass still runs, which gains little for networks of
these sizes; but it wraps the model (other names in every checkpoint), wants a gradient of every parameter
in each step (latent rules, gates and stages leave some without), and takes means over equal parts.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from bnn_train.binary.draws import shared_weight_draws
from bnn_train.config.schema import Experiment
from bnn_train.data.bundle import DataBundle
from bnn_train.data.randomness import stream_seed
from bnn_train.data.share import Counts
from bnn_train.training.progress import Progress
from bnn_train.training.setup import Learner
from bnn_train.training.signals import StopRequest
from bnn_train.training.step import Seen, Sums
from bnn_train.world import World

T = TypeVar("T")


class Together:
    """The part of this process in the steps of all."""

    def __init__(self, learner: Learner, data: DataBundle) -> None:
        self.world, self._data, self._device = data.world, data, learner.device
        self._parameters = list(learner.networks.parameters())
        self._statistics = statistics(learner.networks)
        self._counts: Sequence[Counts] = ()

    def step(
        self,
        training_step: Callable[..., list[Seen] | None],
        experiment: Experiment,
        progress: Progress,
        batches: int,
    ) -> list[Sums] | None:
        """A step over so many batches; its results over all processes, None where it is to be repeated.

        Weights draw the same in every process, as one process would; dropout and activations do not.
        """
        accumulate = experiment.training.accumulate
        per_epoch = -(-self._data.batches_per_epoch // accumulate)
        first = progress.step % per_epoch * accumulate
        self._counts = [self._data.counts(first + i) for i in range(batches)]
        found: list[Sums] = []
        with shared_weight_draws(self._device, stream_seed(experiment.seed, "step", progress.step)):
            seen = training_step(
                counts=self._counts, gather=lambda seen: found.append(self._gather(seen, progress))
            )
        return None if seen is None else found

    def _gather(self, seen: Sequence[Seen], progress: Progress) -> Sums:
        """Add up gradients, statistics and results over the processes; the results.

        Numbers that the network keeps of the images (running statistics) become the means over all images of
        the step; whole numbers, those of the first process.
        """
        own, whole = (sum(numbers) for numbers in zip(*self._counts, strict=True))
        pairs = list(zip(seen, self._counts, strict=True))
        loss = torch.stack([one.loss.double() * count.own for one, count in pairs]).sum()
        correct = torch.stack([one.sums.correct * bool(count.own) for one, count in pairs]).sum()
        damaged = loss.new_tensor(float(self._data.take_damaged()))
        results = torch.stack([loss, correct.double(), damaged])
        kept = [self._weighted(buffer, own / whole) for buffer in self._statistics]
        grads = [p.grad for p in self._parameters if p.grad is not None]
        self.world.add([*grads, results, *kept])
        for buffer, mean in zip(self._statistics, kept, strict=True):
            buffer.copy_(mean)
        progress.damaged += int(results[2]) if self._data.config.on_error == "skip" else 0
        return Sums(results[0], results[1].long(), whole)

    def _weighted(self, buffer: Tensor, share: float) -> Tensor:
        """In float64, so that numbers on which all agree come back as they were."""
        if buffer.is_floating_point():
            return buffer.double() * share
        return buffer.double() if self.world.is_writer else torch.zeros_like(buffer, dtype=torch.float64)


def statistics(network: nn.Module) -> list[Tensor]:
    """The buffers that follow the images. Those in the shape of a weight follow the weights, which are the
    same in all processes."""
    weights = {p.shape for p in network.parameters() if p.dim() > 1}
    return [buffer for buffer in network.buffers() if buffer.shape not in weights]


class Meeting:
    """Before each step the processes tell each other of errors, signals, and the writer's clock, so that none
    waits for one that has left."""

    def __init__(self, world: World, stop: StopRequest, late: Callable[[], bool]) -> None:
        self._world, self._stop, self._late = world, stop, late
        self._agreed = (0, 0)

    @property
    def signal(self) -> signal.Signals | None:
        """The signal after which all stop, once this step is done."""
        if self._world.alone:
            return self._stop.signal
        return signal.Signals(self._agreed[0]) if self._agreed[0] else None

    @property
    def late(self) -> bool:
        """Whether a checkpoint is due by the clock."""
        return self._late() if self._world.alone else bool(self._agreed[1])

    def each(self, items: Iterable[T]) -> Iterator[T]:
        """The items, each once all processes have theirs. An error in getting one ends all."""
        if self._world.alone:
            yield from items
            return
        iterator, more = iter(items), True
        while more:
            found, failure = self._next(iterator)
            late = self._world.is_writer and self._late()
            number, clock = self._world.settle(failure, int(self._stop.signal or 0), int(late))
            self._agreed = number, clock
            more = bool(found)
            yield from found

    @staticmethod
    def _next(iterator: Iterator[T]) -> tuple[list[T], Exception | None]:
        try:
            return [next(iterator)], None
        except StopIteration:
            return [], None
        except Exception as error:
            return [], error
