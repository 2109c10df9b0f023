"""Whole networks: ours from bytes to logits against the real-valued twin in every runtime."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray

from bench import twin_engines as peers_of
from bench.lowered import EXACT, VARIANTS, header, packed
from bench.ours_product import kernel
from bench.record import Record
from bench.table import Row
from bench.timing import Engine, Plan, Sample, best, interleave, ratio
from bench.twins import NETWORKS, Network, normalized, pixels, prepared
from bnn_train.packed.runtime import PackedModel
from bnn_train.spec.inputs import input_shape

SINGLE = ", 1 thread"
LOSSLESS = 0.02
"""Of the largest logit: what a few signs may change that fall on the other side in float32. That the integers
agree bit by bit is the exporter's own check."""


def measure(
    record: Record, peers: Sequence[str], batch: int, threads: int, plan: Plan, *, compiled: bool, quick: bool
) -> None:
    """A table of times and one of ratios for every twin."""
    torch.set_num_threads(threads)
    for twin, networks in groupby(NETWORKS[:1] if quick else NETWORKS, key=lambda network: network.twin):
        _group(record, peers, twin, list(networks), batch, threads, plan, compiled=compiled)


def _group(
    record: Record,
    peers: Sequence[str],
    twin: str,
    networks: Sequence[Network],
    batch: int,
    threads: int,
    plan: Plan,
    *,
    compiled: bool,
) -> None:
    experiment, real = prepared(twin)
    images = pixels(batch, input_shape(experiment.data))
    x = normalized(images)
    engines = peers_of.engines(peers, real, x, threads, compiled=compiled)
    ours = [engine for network in networks for engine in _ours(network, images, threads)]
    notes = ["logits, as a share of the largest:"]
    for engine in [*ours, *engines]:
        verdict = engine.verdict()
        notes.append(f"  {engine.name}: {verdict}")
        if verdict.startswith("WRONG"):
            record.wrong.append(f"{twin}, batch {batch}: {engine.name} is {verdict}")
    notes.append(f"ours: {kernel()}")
    samples = interleave([*ours, *engines], plan)
    title = f"{' and '.join(n.name for n in networks)} against {twin}, batch {batch}, {threads} thread(s)"
    times: list[Row] = [
        {"engine": name, "ms": 1e3 * sample.median, "least ms": 1e3 * sample.least}
        for name, sample in samples.items()
    ]
    record.add(f"{title}: a call", times, left=("engine",), notes=notes, samples={"call": samples})
    rows = [
        _ratios(engine.name, samples)
        for engine in ours
        if engine.deviation is not None and not engine.name.endswith(SINGLE)
    ]
    record.add(f"{title}: how many times faster", rows, left=("ours",))


def _ours(network: Network, images: NDArray[np.uint8], threads: int) -> list[Engine]:
    """Every variant of the packed network, and the network itself as PyTorch evaluates it."""
    experiment, model = prepared(network.config)
    x = normalized(images)
    eager = peers_of.run(model, x)
    truth = eager().numpy()
    made = []
    for name, options in VARIANTS.items():
        program, tensors = packed(model, images.shape[1:], options)
        runs = PackedModel.from_parts(header(experiment, program), tensors, threads)
        made.append(_engine(f"{network.name} {name}", runs, images, truth, exact=name == EXACT))
        if threads > 1 and name == EXACT:
            single = PackedModel.from_parts(header(experiment, program), tensors, 1)
            made.append(_engine(f"{network.name} {name}{SINGLE}", single, images, truth, exact=True))
    return [*made, Engine(f"{network.name} in torch", eager)]


def _engine(
    name: str, model: PackedModel, images: NDArray[np.uint8], truth: NDArray[np.float32], *, exact: bool
) -> Engine:
    result: list[NDArray[np.float32]] = []

    def call() -> None:
        result[:] = [model(images)]

    def off() -> float:
        return float(np.abs(result[0] - truth).max() / np.abs(truth).max())

    return Engine(name, call, deviation=off, tolerance=LOSSLESS if exact else 1.0)


def _ratios(name: str, samples: dict[str, Sample]) -> Row:
    chosen = {engine: engine for engine in samples if engine in (*peers_of.FP32, "OV bf16")}
    int8 = best(samples, peers_of.INT8)
    if int8 is not None:
        chosen["best int8"] = int8
    ours = samples[name]
    if name + SINGLE in samples:
        chosen["1 thread"] = name + SINGLE
    return {"ours": name, **{title: ratio(ours, samples[engine]) for title, engine in chosen.items()}}
