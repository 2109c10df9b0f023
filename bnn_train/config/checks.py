"""Combinations that are each well typed and cannot work together, all at once.

Only what cannot work, or would silently do nothing, is refused: a trial with fewer epochs or images
must not fail because a schedule reaches further than the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bnn_train.config import (
    checks_bases,
    checks_data,
    checks_expectation,
    checks_gradients,
    checks_method,
    checks_networks,
    checks_numbers,
    checks_reactors,
    checks_spikes,
    checks_stages,
    checks_weights,
)
from bnn_train.config.schema import SGD, Cosine, Experiment, Exponential, Linear, Step, Table
from bnn_train.config.yaml_reader import KeyPath
from bnn_train.errors import BnnError
from bnn_train.files import expanded
from bnn_train.spec.inputs import is_folder, validates

Problems = Iterator[tuple[KeyPath, str]]


def problems(experiment: Experiment) -> list[tuple[KeyPath, str]]:
    """Each combination that cannot work: the key to change, and a sentence."""
    return [found for check in CHECKS for found in check(experiment)]


def _optimizer(e: Experiment) -> Problems:
    optimizer = e.optimizer
    if isinstance(optimizer, SGD) and optimizer.nesterov and not optimizer.momentum:
        yield ("optimizer", "nesterov"), "needs momentum; set optimizer.momentum, for example 0.9"


def _decay(e: Experiment) -> Problems:
    o = e.optimizer
    if o.weight_decay_epochs is not None and not (o.weight_decay or o.weight_decay_binary):
        yield ("optimizer", "weight_decay_epochs"), "has no effect without a weight decay; remove it"


def _schedule(e: Experiment) -> Problems:
    s = e.schedule
    if isinstance(s, Step) and bool(s.at) == (s.every is not None):
        yield ("schedule",), "step needs either at (a list of epochs) or every (a number of epochs), not both"
    if isinstance(s, Table) and 0 not in s.rates:
        yield ("schedule", "rates"), "the table must begin at epoch 0, the rate of the first epoch"
    if isinstance(s, Exponential | Cosine | Linear) and s.end > e.optimizer.lr:
        yield ("schedule", "end"), f"is above optimizer.lr ({e.optimizer.lr:g}), so the rate would rise"
    if s.warmup and s.warmup >= e.training.epochs:
        yield ("schedule", "warmup"), f"must be shorter than the run ({e.training.epochs} epochs)"


def _mix(e: Experiment) -> Problems:
    if not e.data.mix:
        return
    if not e.loss.takes_shares:
        yield (
            ("data", "mix"),
            f"gives an image shares of two classes, which {e.loss.name} cannot take; set loss:"
            " cross_entropy, or remove it",
        )
    if e.data.batch_size < 2:
        yield ("data", "mix"), "mixes images of a batch, so data.batch_size must be 2 or more"


def _training(e: Experiment) -> Problems:
    folder = ", data.validation.folder" if is_folder(e.data) else ""
    if e.training.select == "validation" and not validates(e.data):
        yield (
            ("training", "select"),
            f"validation needs held-out images, and {e.data.name} has none here;"
            f" set data.validation.size (for example 10000){folder} or training.select: last",
        )
    if e.training.amp == "fp16" and e.run.device == "cpu":
        yield ("training", "amp"), "fp16 needs a GPU; use bf16 or none on the CPU"
    if e.run.dir is not None and not e.run.dir.strip():
        yield ("run", "dir"), "must name a folder; leave it out for runs/<the config's name>"


def _homes(e: Experiment) -> Problems:
    paths: dict[KeyPath, str | None] = {("run", "dir"): e.run.dir, ("data", "root"): e.data.root}
    for key, path in paths.items():
        if path and path.startswith("$"):
            yield key, f"{path}: variables are not replaced in a config; write the path out, or ~ for home"
        try:
            expanded(path or "")
        except BnnError as error:
            yield key, str(error)


CHECKS: tuple[Callable[[Experiment], Problems], ...] = (
    *checks_method.CHECKS,
    *checks_numbers.CHECKS,
    *checks_bases.CHECKS,
    *checks_weights.CHECKS,
    *checks_gradients.CHECKS,
    *checks_networks.CHECKS,
    *checks_reactors.CHECKS,
    *checks_spikes.CHECKS,
    *checks_expectation.CHECKS,
    *checks_stages.CHECKS,
    checks_data.network_fits,
    *(lambda e, check=check: check(e.data) for check in checks_data.CHECKS),
    _optimizer,
    _decay,
    _schedule,
    _mix,
    _training,
    _homes,
)
