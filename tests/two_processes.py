"""What each of two processes does for ``unit/test_together.py``, which is the first of them.

The truth is the step of one process with the whole batch, taken here beside the step of both, in float64.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bnn_train.config.merge import merge
from bnn_train.config.schema import Experiment
from bnn_train.data.bundle import DataBundle
from bnn_train.data.incidents import Incidents
from bnn_train.data.open import open_data
from bnn_train.data.randomness import stream_seed
from bnn_train.errors import BnnError, DataError, Interrupted
from bnn_train.models.build import build
from bnn_train.spec.annealed import Position
from bnn_train.training import run
from bnn_train.training.console import SILENT, Console
from bnn_train.training.evaluate import evaluate, reestimate_norms
from bnn_train.training.loop import groups
from bnn_train.training.losses import criterion
from bnn_train.training.progress import Progress
from bnn_train.training.setup import Learner, build_learner
from bnn_train.training.signals import StopRequest
from bnn_train.training.step import Kept, training_step
from bnn_train.training.together import Meeting, Together
from bnn_train.world import ALONE, World, join
from stopping import StopAfter
from tiny import TINY, tiny

CPU = torch.device("cpu")
SGD = {"name": "sgd", "lr": 0.05, "momentum": 0.9}
WITHOUT_NORMS = {"name": "bc", "norm": {"kind": "none"}, "block": {"output_norm": False}}
STEPS: dict[str, dict[str, Any]] = {
    "signs": {"method": "bnn", "data": {"drop_last": True, "train_limit": 80}},
    "shift norms": {"method": {"name": "bnn", "norm": {"kind": "shift"}}},
    "stochastic weights": {"method": "bc_stochastic"},
    "accumulation": {"training": {"accumulate": 2}},
    "mixed images": {"loss": "cross_entropy", "data": {"mix": [{"name": "mixup", "alpha": 0.4}]}},
    "clipped gradient, average": {"training": {"clip_grad_norm": 0.1, "ema": 0.9}},
    "convolutions": {"model": "lenet5", "data": {"shape": [1, 28, 28]}},
    "an empty part": {"method": WITHOUT_NORMS, "data": {"batch_size": 53}},
}
"""54 images in batches of 13: parts of 7 and 6, in the last of 1 and 1; in batches of 53 the second process
has none of the last. The batches of `signs` are such that no sum of whole numbers equals the mean of its
channel, where rounding would decide about the sign."""


def experiment(**changes: Any) -> Experiment:
    """The tiny one under SGD, which shows a gradient as it is."""
    data = {"batch_size": 13, "drop_last": False, "train_limit": 54}
    own = {"method": "bc", "optimizer": SGD, "training": {"sync_norms": True}, "data": data}
    return Experiment.model_validate(merge(merge(TINY, own), changes))


def learner_of(e: Experiment, data: DataBundle, world: World) -> Learner:
    torch.manual_seed(5)
    model = build(e.model, e.method, data.shape, len(data.classes)).double()
    return build_learner(e, model, CPU, (), world)


def epoch(e: Experiment, world: World) -> Iterator[Learner]:
    """The learner after each step of an epoch, of a process alone or of all."""
    data = open_data(e.data, seed=e.seed, device=CPU, world=world)
    learner = learner_of(e, data, world)
    kept, progress, together = Kept(learner.model.train()), Progress(), Together(learner, data)
    batches = ((images.double(), labels) for images, labels in data.train_batches(0, mix=True))
    for group in groups(batches, e.training.accumulate):
        learner.optimizers.set_rate(0.05, 0)
        position = Position(step=progress.step, epoch=0.0, epochs=2)
        options: dict[str, Any] = {"position": position, "clip": e.training.clip_grad_norm}
        if world.alone:
            torch.manual_seed(stream_seed(e.seed, "step", progress.step))
            training_step(learner, kept, group, **options)
        else:
            torch.manual_seed(world.rank)

            def step(*, options: dict[str, Any] = options, group: Any = group, **more: Any) -> Any:
                return training_step(learner, kept, group, **options, **more)

            together.step(step, e, progress, len(group))
        progress.step += 1
        yield learner


def differences(e: Experiment, world: World) -> list[dict[str, float]]:
    """After each step: of all gradients, and of all numbers of the networks, the largest difference between
    one process and both, relative to the largest number."""
    found = []
    for one, both in zip(epoch(e, ALONE), epoch(e, world), strict=True):
        world.agree(both.model.state_dict())
        pairs = [
            (p.grad, q.grad)
            for p, q in zip(one.model.parameters(), both.model.parameters(), strict=True)
            if p.grad is not None and q.grad is not None
        ]
        own = {name: (t, both.tensors()[name]) for name, t in one.tensors().items()}
        found.append({"gradients": _apart(pairs), "state": _apart(own.values()), "count": len(pairs)})
    return found


def _apart(pairs: Any) -> float:
    return max(
        float((a.double() - b.double()).abs().max() / a.double().abs().max().clamp(min=1e-3))
        for a, b in pairs
    )


def evaluated(world: World) -> dict[str, Any]:
    """A split of 50 images in batches of 7, after norms were estimated anew: by one process, and by both."""
    e = experiment(data={"eval_batch_size": 7})
    found = {}
    for name, own in {"one": ALONE, "both": world}.items():
        data = open_data(e.data, seed=e.seed, device=CPU, world=own)
        model = learner_of(e, data, own).model
        reestimate_norms(model, _double(data.eval_batches("train", shared=True)), world=own)
        result = evaluate(
            model,
            _double(data.eval_batches("test", shared=True)),
            classes=4,
            criterion=criterion(e.loss),
            world=own,
        )
        kept = torch.cat([b.double().flatten() for b in model.buffers() if b.is_floating_point()])
        found[name] = {
            "confusion": result.confusion.tolist(),
            "top5": result.top5_correct,
            "total": result.total,
            "loss": result.loss,
            "kept": kept.tolist(),
        }
    return found


def _double(batches: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    return ((images.double(), labels) for images, labels in batches)


def messages(world: World) -> dict[str, Any]:
    """What the processes tell each other, as this one understands it."""
    numbers = torch.full((3,), world.rank + 1.0), torch.tensor([world.rank], dtype=torch.int64)
    world.add(numbers)
    copied = torch.full((2, 3), float(world.rank)).t()
    world.copy_first({"copied": copied})
    met = Incidents("photos", "ignore")
    met.add([b"a.jpg"], {f"{world.rank}.jpg".encode(): "damaged"}, 1)
    met.add_up(world)
    return {
        "met": list(met.sentences()),
        "sums": [number.tolist() for number in numbers],
        "largest": world.largest(world.rank, -world.rank),
        "told": world.told_by(1, {"from": world.rank, "ü": None}),
        "copied": copied.tolist(),
        "differs": _refusal(lambda: world.agree({"same": torch.ones(2), "own": torch.tensor(world.rank)})),
        "by the second": _refusal(lambda: _fails(world, 1)),
        "by both": _refusal(lambda: _fails(world, 0, 1)),
        "by none": _refusal(lambda: _fails(world)),
        "in the third step": _met(world, broken=2, stopped=None),
        "stopped in the second": _met(world, broken=None, stopped=1),
    }


def _refusal(act: Callable[[], object]) -> str | None:
    try:
        act()
    except BnnError as error:
        return f"{type(error).__name__}: {error}"
    return None


def _fails(world: World, *ranks: int) -> None:
    with world.agreed():
        if world.rank in ranks:
            raise DataError(f"no images in {world.rank}")


def _met(world: World, broken: int | None, stopped: int | None) -> dict[str, Any]:
    """Four steps; one of them breaks in the second process, or a signal comes there."""
    stop, seen = StopRequest(), list[int]()
    meeting = Meeting(world, stop, lambda: False)

    def items() -> Iterator[int]:
        for number in range(4):
            if world.rank == 1 and number == broken:
                raise DataError("damaged")
            yield number

    def steps() -> None:
        for number in meeting.each(items()):
            if world.rank == 1 and number == stopped:
                stop.signal = signal.SIGTERM
            seen.append(number)
            if meeting.signal is not None:
                return

    refusal = _refusal(steps)
    return {"seen": seen, "refusal": refusal, "signal": meeting.signal}


def runs(folder: Path, world: World) -> None:
    """A run to its end, and one that is stopped after three steps: once to go on here, once elsewhere."""
    e = partial(tiny, training={"epochs": 2}, method="bc_stochastic", model={"dropout": 0.2})
    start = partial(run.start, world=world, console=Console(SILENT))
    start(e(folder / "whole"))
    for name in ("stopped", "elsewhere"):
        with suppress(Interrupted), pytest.MonkeyPatch.context() as patch:
            patch.setattr(run, "StopRequest", lambda: StopAfter(3 if world.rank else 100))
            start(e(folder / name))
    run.resume(folder / "stopped", None, world=world, console=Console(SILENT))


def lost(world: World) -> str | None:
    """How the first process finds that the second has left."""
    if world.rank == 1:
        os._exit(0)
    return _refusal(lambda: world.largest(0))


def both(folder: Path) -> dict[str, Any]:
    """All of it; the last is that the second process leaves."""
    world = join()
    found: dict[str, Any] = {"messages": messages(world), "evaluated": evaluated(world)}
    found["steps"] = {name: differences(experiment(**changes), world) for name, changes in STEPS.items()}
    runs(folder, world)
    (folder / f"{world.rank}.json").write_text(json.dumps(found))
    found["lost"] = lost(world)
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    both(Path(sys.argv[1]))
