"""Images a second of training steps: methods, networks and ways to run them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from bnn_train.config.loader import load
from bnn_train.config.schema import Experiment
from bnn_train.models.build import build
from bnn_train.spec.annealed import START
from bnn_train.spec.inputs import input_shape, num_classes
from bnn_train.training.setup import build_learner, build_model
from bnn_train.training.step import Kept, training_step
from gpu.modes import MODES, begin_step, set_mode, wait
from gpu.results import Results, machine

CONFIGS = Path(__file__).parents[2] / "configs" / "cifar10"
NETWORKS, METHODS = ("resnet20", "convnet", "resnet18"), ("fp", "bnn", "xnor")
LONGEST_S = 90.0
"""For compiling and measuring one case; a call with less time left stops."""
PART = "throughput"


class Case(NamedTuple):
    """One measurement."""

    network: str
    method: str
    mode: str
    amp: str

    @property
    def name(self) -> str:
        """As in the results."""
        return f"{self.network} {self.method} {self.mode} {self.amp}"


def cases(networks: tuple[str, ...], *, rehearse: bool) -> Iterator[Case]:
    """In float32 as written, and in bf16 every way."""
    for network in networks:
        for method in METHODS:
            yield Case(network, method, "eager", "none")
            if rehearse and (network, method) != ("resnet20", "bnn"):
                continue
            for mode in MODES if not rehearse else ("eager", "compiled"):
                yield Case(network, method, mode, "bf16")


def measure_all(
    results: Results, networks: tuple[str, ...], batch: int, steps: int, *, rehearse: bool
) -> None:
    """Every case that is not in the results yet, while there is time."""
    for case in cases(networks, rehearse=rehearse):
        if case.name in results.of(PART):
            continue
        if results.left < (0 if rehearse else LONGEST_S):
            print(f"{PART}: out of time before {case.name}; the same command goes on")
            return
        results.add(PART, case.name, measure(results, case, batch, steps, rehearse=rehearse))


def experiment_of(case: Case) -> Experiment:
    """The shipped config of a network with this method; the optimizer is one for all, so that only the method
    differs."""
    settings = ["optimizer={name: adam, lr: 1.0e-3}", f"training.amp={case.amp}", f"method={case.method}"]
    return load(CONFIGS / f"fp_{case.network}.yaml", settings)


def measure(results: Results, case: Case, batch: int, steps: int, *, rehearse: bool) -> dict[str, Any]:
    """Images a second, milliseconds a step, and the share of the card's peak; or why not."""
    experiment = experiment_of(case)
    began = time.perf_counter()
    try:
        step = _stepper(experiment, case, batch, results.device, rehearse=rehearse)
        for _ in range(3):
            step()
        wait(results.device)
        warm = time.perf_counter()
        for _ in range(steps):
            step()
        wait(results.device)
    except Exception as error:  # one case must not cost the others
        return {"error": f"{type(error).__name__}: {str(error).strip()[:300]}"}
    seconds = (time.perf_counter() - warm) / steps
    flops = 3 * forward_flops(experiment) * batch / seconds
    peak = machine(results.device)["bf16_peak_tflops"]
    return {
        "images_per_s": batch / seconds,
        "ms_per_step": 1e3 * seconds,
        "tflops": flops / 1e12,
        "share_of_bf16_peak": flops / 1e12 / peak if peak else None,
        "batch": batch,
        "start_s": warm - began,
    }


def _stepper(
    experiment: Experiment, case: Case, batch: int, device: torch.device, *, rehearse: bool
) -> Callable[[], None]:
    shape, classes = input_shape(experiment.data), num_classes(experiment.data)
    model = build_model(experiment, shape, classes, device)
    set_mode(model, case.mode, rehearse=rehearse)
    learner = build_learner(experiment, model, device)
    images = torch.randn(batch, *shape, device=device).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(classes, (batch,), device=device)
    kept = Kept(model)

    def step() -> None:
        begin_step()
        learner.optimizers.set_rate(1e-4, 0)
        training_step(learner, kept, [(images, labels)], position=START, clip=None)

    return step


def forward_flops(experiment: Experiment) -> int:
    """Of one image, a multiplication and an addition counted each; the backward pass takes twice as many. Of
    the real-valued network: a method multiplies as often."""
    shape, classes = input_shape(experiment.data), num_classes(experiment.data)
    twin = load(CONFIGS / f"fp_{experiment.model.name}.yaml")
    with torch.device("meta"):
        model = build(twin.model, twin.method, shape, classes).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(torch.empty(1, *shape))
    return int(counter.get_total_flops())
