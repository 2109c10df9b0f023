"""A training step of three blocks: ours, with binary convolutions, against the real-valued one."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench.record import Record
from bench.table import Row
from bench.timing import Engine, Plan, Sample, interleave, ratio
from bnn_train.binary.layers import BinaryConv2d
from bnn_train.memory import keep_freed_memory
from bnn_train.spec.annealed import START
from bnn_train.spec.learning import SGD
from bnn_train.spec.methods import METHODS
from bnn_train.training.losses import Criterion
from bnn_train.training.optimizers import Optimizers
from bnn_train.training.precision import precise
from bnn_train.training.setup import Learner
from bnn_train.training.step import Kept, training_step

CPU = torch.device("cpu")
BLOCKS = 3
SIZES = ((128, 28, 16), (384, 13, 32))
"""Channels, pixels along a side, images."""
TWIN = "real"
METHODS_MEASURED = ("xnor", "bnn", "bireal")


def measure(record: Record, threads: int, plan: Plan, *, quick: bool) -> None:
    """Rows for both sizes, in float32 and with bfloat16 autocast."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    rows: list[Row] = []
    samples: dict[str, dict[str, Sample]] = {}
    for channels, side, images in SIZES[:1] if quick else SIZES:
        name = f"C{channels} {side}² N{images}"
        engines, saved = _engines(channels, side, images)
        samples[name] = interleave(engines, plan)
        for engine in engines:
            sample = samples[name][engine.name]
            slower = ratio(samples[name][TWIN], sample)
            rows.append(
                {
                    "blocks": name,
                    "step": engine.name,
                    "ms": 1e3 * sample.median,
                    "least ms": 1e3 * sample.least,
                    "of real": slower,
                    "saved bits": saved[engine.name],
                }
            )
    title = f"Training step, {BLOCKS} × [batch norm, activation, 3×3 convolution], {threads} thread(s)"
    notes = ["saved bits: kept for the backward pass, per activation element and block; no parameters"]
    record.add(title, rows, left=("blocks", "step"), notes=notes, samples=samples)


def _engines(channels: int, side: int, images: int) -> tuple[list[Engine], dict[str, float]]:
    networks = {TWIN: _real(channels)} | {name: _binary(channels, name) for name in METHODS_MEASURED}
    engines, saved = [], {}
    for name, network in networks.items():
        for low in (False, True):
            label = f"{name}, bf16" if low else name
            step, forward = _step(network, channels, side, images, low=low)
            engines.append(Engine(label, step))
            saved[label] = _saved_bits(network, forward) / (images * channels * side**2 * BLOCKS)
    return engines, saved


def _real(channels: int) -> nn.Module:
    """Convolution, batch norm, ReLU."""
    blocks = [
        m
        for _ in range(BLOCKS)
        for m in (
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )
    ]
    return _last(nn.Sequential(*blocks))


def _binary(channels: int, method: str) -> nn.Module:
    """Batch norm, sign, binary convolution."""
    row = METHODS[method]
    blocks = [
        m
        for _ in range(BLOCKS)
        for m in (
            nn.BatchNorm2d(channels),
            BinaryConv2d(channels, channels, 3, padding=1, bias=False, method=row, role="body"),
        )
    ]
    return _last(nn.Sequential(*blocks))


def _last(network: nn.Module) -> nn.Module:
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]  # stub


def _step(
    network: nn.Module, channels: int, side: int, images: int, *, low: bool
) -> tuple[Callable[[], None], Callable[[], Tensor]]:
    """A training step whose loss gives the maps a fixed gradient; and the forward pass alone."""
    shape, last = (images, channels, side, side), torch.channels_last
    x = torch.randn(shape).contiguous(memory_format=last).requires_grad_()
    gradient = torch.randn(shape).contiguous(memory_format=last)
    labels = torch.zeros(images, dtype=torch.int64)
    learner = _learner(network, lambda y, _: (y * gradient).sum(), torch.bfloat16 if low else None)
    kept = Kept(network)

    def forward() -> Tensor:
        with precise(CPU, learner.amp):
            y: Tensor = network(x)
        return y

    def step() -> None:
        x.grad = None
        training_step(learner, kept, [(x, labels)], position=START, clip=None)

    return step, forward


def _learner(network: nn.Module, loss: Criterion, amp: torch.dtype | None) -> Learner:
    """Plain SGD, which has the least to do."""
    optimizers = Optimizers(network, SGD(name="sgd", lr=1e-6))
    optimizers.set_rate(1e-6, 0)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    return Learner(network, optimizers, loss, (), scaler, average=None, amp=amp, device=CPU)


def _saved_bits(network: nn.Module, forward: Callable[[], Tensor]) -> int:
    """Of all memory that the graph of a forward pass keeps, each block of memory once."""
    own = {p.untyped_storage().data_ptr() for p in [*network.parameters(), *network.buffers()]}
    sizes: dict[int, int] = {}

    def pack(t: Tensor) -> Tensor:
        storage = t.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        y = forward()
    del y
    return 8 * sum(sizes.values())
