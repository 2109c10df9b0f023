"""One run of a row: recognised if it is finished, gone on with if it is half-finished, else begun."""

from __future__ import annotations

from pathlib import Path

from bnn_train.cli.common import say
from bnn_train.config.loader import load
from bnn_train.config.schema import Experiment
from bnn_train.errors import ConfigError, Interrupted, RunError
from bnn_train.files import expanded
from reproduction.outcomes import outcome_of
from reproduction.plans import digest

WAY_OUT = "choose another --out, or remove the folder"


def finish(experiment: Experiment) -> None:
    """Bring a run to its end. Raises RunError for another's folder, NonFiniteError for one that diverges."""
    path = expanded(experiment.run.dir or "")
    _refuse_foreign(path, experiment)
    if (done := outcome_of(path, digest(experiment))) is not None:
        say(f"{path}: finished before, top-1 {done.top1:.2f} %")
        return
    _train(path, experiment)


def _refuse_foreign(path: Path, experiment: Experiment) -> None:
    config = path / "config.yaml"
    if not config.is_file():
        if path.is_dir() and any(entry.name not in {".lock", "checkpoints"} for entry in path.iterdir()):
            raise RunError(f"{path}: holds files that are no run; {WAY_OUT}")
        return
    try:
        found = digest(load(config))
    except ConfigError as error:
        raise RunError(f"{config}: cannot be read ({error.problems[0]}); {WAY_OUT}") from None
    if found != digest(experiment):
        raise RunError(f"{path}: holds a run of another config; {WAY_OUT}")


def _train(path: Path, experiment: Experiment) -> None:
    from bnn_train.training.run import resume, start  # torch, which --list does without

    try:
        if any((path / "checkpoints").glob("*.safetensors")):
            say(f"{path}: going on")
            resume(path, experiment, warn=lambda sentence: say(f"warning: {sentence}"))
            return
        say(f"{path}: training")
        run = experiment.run.model_copy(update={"overwrite": True})
        start(experiment.model_copy(update={"run": run}))
    except Interrupted as stopped:
        raise Interrupted(
            f"{stopped.args[0].partition(';')[0]}; saved, go on with the same command", stopped.exit_code
        ) from None
