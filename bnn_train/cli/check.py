"""``bnn-train --check``: instruments that tell why a run falls short, before or after it."""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

from bnn_train.check.line import ORDER
from bnn_train.check.run import check
from bnn_train.check.subject import open_subject
from bnn_train.cli.common import say
from bnn_train.colours import coloured
from bnn_train.config.schema import Experiment
from bnn_train.training.checkpoint import Checkpoint, newest
from bnn_train.training.compatible import continued
from bnn_train.training.fits import check_network
from bnn_train.training.restore import experiment_of


def run_check(experiment: Experiment | None, config: Path | None, run: Path | None) -> list[str]:
    """Print the findings on a config's fresh network, or on the newest checkpoint of ``run``; the names of
    those that are wrong. ``experiment`` may be None where ``run`` is given."""
    checkpoint = None if run is None else _newest(run)
    if checkpoint is not None:
        stored = experiment_of(checkpoint)
        check_network(checkpoint, stored)
        experiment = stored if experiment is None else continued(stored, experiment)
    if experiment is None:
        raise TypeError("neither an experiment nor a run")
    clock = time.perf_counter()
    subject = open_subject(experiment, checkpoint, config)
    print(_title(experiment, run, subject.progress.step), flush=True)
    verdicts: Counter[str] = Counter()
    wrong = []
    for line in check(subject):
        verdicts[line.verdict] += 1
        wrong += [line.name] if line.verdict == "wrong" else []
        print(coloured(str(line), sys.stdout), flush=True)
    counted = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in ORDER)
    print(f"{counted}; {time.perf_counter() - clock:.0f} s; the network and the disk are as before")
    return wrong


def _newest(run: Path) -> Checkpoint:
    checkpoint, skipped = newest(run / "checkpoints")
    for sentence in skipped:
        say(f"warning: {sentence}; using an older checkpoint")
    return checkpoint


def _title(experiment: Experiment, run: Path | None, step: int) -> str:
    where = f"run {run} after step {step}" if run is not None else "before training"
    return f"{experiment.method.name} {experiment.model.name} on {experiment.data.name}, {where}"
