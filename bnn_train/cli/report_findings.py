"""The findings of a page that take the network: its filters, its mistakes, its packed twin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from bnn_train.cli.eval_data import open_split
from bnn_train.cli.export import parser as export_parser
from bnn_train.cli.latency import Classify, latencies
from bnn_train.errors import BnnError, CheckpointError
from bnn_train.export.run import Export
from bnn_train.inspect.filters import first_filters
from bnn_train.inspect.layers import layer_table, total
from bnn_train.report.findings import Findings, Twin
from bnn_train.report.mistakes import Mistake, read_mistakes
from bnn_train.report.predictions import read_predictions
from bnn_train.report.run_files import RunFiles
from bnn_train.training import answers
from bnn_train.training.checkpoint import BEST, Checkpoint
from bnn_train.training.contents import CHECKPOINTS
from bnn_train.training.restore import evaluate_checkpoint, experiment_of, model_of, open_checkpoint

CPU = torch.device("cpu")
IMAGES = "64"
"""On which the packed twin must agree with the trained network."""


def findings(run: RunFiles, *, root: str | None, packed: bool) -> Findings:
    """Whatever cannot be had is a sentence; nothing in the run folder changes. ``root``: where the images
    are, for runs that kept no pictures of their mistakes."""
    best = run.path / CHECKPOINTS / BEST
    try:
        checkpoint, _ = open_checkpoint(best)
    except BnnError as error:
        told = f"There is no checkpoint to look into: {error}."
        return Findings(told, _kept(run) or told, told)
    model, shape = model_of(checkpoint, CPU), checkpoint.state["shape"]
    filters = first_filters(model, shape) or "The first layer's weights make no pictures."
    twin = _twin(best) if packed else "Not packed for this page (--no-packed)."
    return Findings(filters, _mistakes(run, checkpoint, root), twin)


def _kept(run: RunFiles) -> list[Mistake] | None:
    predictions = read_predictions(run.path)
    return None if predictions is None else read_mistakes(run.path, predictions)


def _mistakes(run: RunFiles, checkpoint: Checkpoint, root: str | None) -> Sequence[Mistake] | str:
    """As the run kept them; of a run that kept none, by an evaluation."""
    if run.report is None:
        return "The test set has not been read."
    kept = _kept(run)
    if kept is not None:
        return kept
    experiment, seen = experiment_of(checkpoint), answers.Answers()
    changes = {} if root is None else {"root": root}
    preprocess = checkpoint.section("preprocess")
    try:
        data = open_split(
            experiment.data, "test", changes, seed=experiment.seed, device=CPU, preprocess=preprocess
        )
        if list(data.classes) != checkpoint.state["classes"]:
            raise CheckpointError("the images there are of other classes")
        evaluate_checkpoint(checkpoint, data, "test", device=CPU, see=seen.see)
    except BnnError as error:
        return f"This run kept no pictures of its mistakes, and its test images cannot be read: {error}."
    return [one for _, one in answers.mistakes(data, "test", seen.predictions(data, "test"))]


def _twin(best: Path) -> Twin | str:
    args = export_parser().parse_args(["--checkpoint", str(best), "--out", "-", "--parity-images", IMAGES])
    try:
        return _packed(Export(best, args))
    except BnnError as error:
        return f"This network has no packed twin: {error}."


def _packed(export: Export) -> Twin:
    parity, real = export.compare(), total(layer_table(export.model, export.shape)).bytes_real
    packed = f"packed, {export.packed.kernel}"
    runs: dict[str, Classify] = {packed: export.packed, "trained": export.trained}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        taken = latencies(runs, export.images.pixels[:1])
    finally:
        torch.set_num_threads(threads)
    return Twin(
        len(export.content), real, taken[packed], taken["trained"], export.packed.kernel, parity.images
    )
