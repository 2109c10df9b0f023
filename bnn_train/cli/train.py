"""``bnn-train``: a YAML experiment → a trained model and its report.

torch is imported only after the config has been read, so that a typo is answered at once.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bnn_train.cli import terminal
from bnn_train.cli.common import add_common, guarded, path_argument, verbosity
from bnn_train.colours import coloured
from bnn_train.config.loader import dump, from_mapping, json_schema, load, load_settings, override
from bnn_train.config.schema import Experiment
from bnn_train.config.shipped import FOLDER, copy_config, resolved
from bnn_train.errors import RunError
from bnn_train.files import expanded
from bnn_train.launch import launched, speaks

if TYPE_CHECKING:
    from bnn_train.world import World

LATEST = "latest"


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(
        prog="bnn-train", description="Train a binarized image classifier from a YAML config."
    )
    p.add_argument(
        "--config",
        metavar="F",
        type=path_argument,
        help="the experiment: a file, or the name of a shipped config, e.g. quickstart or mnist/bnn_mlp",
    )
    p.add_argument(
        "--set",
        metavar="A.B=C",
        action="append",
        default=[],
        help="replace one key of the config; repeatable; without --config: the whole experiment, e.g."
        " --set method=bnn --set model=mlp --set data=digits",
    )
    p.add_argument(
        "--resume",
        metavar="RUN",
        nargs="?",
        const=LATEST,
        help="go on with the run in this folder; without RUN: that of --config, else the latest under runs/",
    )
    p.add_argument(
        "--dry-run", action="store_true", help="print the layer table and the resolved config; train nothing"
    )
    p.add_argument(
        "--check",
        action="store_true",
        help="try data, gradients, signs, flips and norms, and tell what is wrong; trains and writes nothing;"
        " with --resume: on that run's newest checkpoint",
    )
    p.add_argument(
        "--profile",
        metavar="N",
        type=int,
        help="time N training steps: data, forward, backward, optimizer, latent rules, every layer; trains a"
        " copy and writes nothing",
    )
    p.add_argument(
        "--print-config", action="store_true", help="print the resolved config; needs no data and no torch"
    )
    p.add_argument(
        "--list",
        nargs="*",
        metavar="WHAT",
        help="list methods, networks, data sets and shipped configs; `--list methods`: the year, bits and"
        " accuracies of each method; `--list methods NAME`: all about one",
    )
    p.add_argument(
        "--copy-config",
        nargs="+",
        metavar=("NAME", "DEST"),
        help="copy a shipped config here, or to DEST, to change it",
    )
    p.add_argument(
        "--schema",
        "--json-schema",
        dest="json_schema",
        action="store_true",
        help="print the config's JSON Schema, for editors",
    )
    add_common(p, "bnn-train --config quickstart")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    terminal.prepare()
    p = parser()
    args = _parsed(p, argv)
    given = args.config or args.set or args.resume or args.copy_config or args.json_schema
    if not given and args.list is None:
        p.error("give --config F, for example: bnn-train --config quickstart (bnn-train --list names more)")
    if args.copy_config and len(args.copy_config) > 2:
        p.error("--copy-config takes a NAME and at most one DEST")
    if args.profile is not None and args.profile < 1:
        p.error("--profile must be at least 1")
    verbosity(args)
    wrong: list[str] = []
    return guarded(lambda: _run(args, wrong), together=trains(args)) or int(bool(wrong))


def _parsed(p: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """The options; of several processes the first tells what is wrong with them."""
    with nullcontext() if speaks() else contextlib.redirect_stderr(io.StringIO()):
        return p.parse_args(argv)


def trains(args: argparse.Namespace) -> bool:
    """Whether the options ask for a training."""
    others = (args.check, args.dry_run, args.print_config, args.copy_config, args.json_schema)
    return args.list is None and args.profile is None and not any(others)


def _run(args: argparse.Namespace, wrong: list[str]) -> None:
    """Do what the options ask for; instruments of ``--check`` that find a fault are added to ``wrong``."""
    if launched():
        _together(args)
    else:
        _alone(args, wrong)


def _alone(args: argparse.Namespace, wrong: list[str]) -> None:
    if args.list is not None:
        from bnn_train.cli.listing import listed

        print(listed(args.list, FOLDER))
        return
    if args.copy_config:
        _copy(*args.copy_config)
        return
    if args.json_schema:
        import json

        print(json.dumps(json_schema(), indent=2))
        return
    args.config = args.config and resolved(args.config)
    experiment = _given(args.config, args.set, resumes=bool(args.resume))
    if args.check:
        wrong += _check(args, experiment)
    elif args.profile is not None:
        _profile(args, experiment)
    elif not (args.dry_run or args.print_config):
        _train(_task(args, experiment), verbosity(args))
    elif experiment is None:
        raise RunError("--dry-run and --print-config need --config F")
    elif args.print_config:
        print(dump(experiment, escape=not terminal.is_utf8()), end="")
    else:
        _dry_run(experiment)


def _given(config: Path | None, settings: Sequence[str], *, resumes: bool) -> Experiment | None:
    """The experiment that the options describe; None where they only name, or change, a run to resume."""
    if config is None:
        return load_settings(settings) if settings and not resumes else None
    return load(config, settings)


def _copy(name: str, target: str | None = None) -> None:
    path = copy_config(name, None if target is None else path_argument(target))
    print(f"{path}: train it with bnn-train --config {shlex.quote(str(path))}")


def _dry_run(experiment: Experiment) -> None:
    from bnn_train.cli.dry_run import dry_run

    print(dry_run(experiment))


def _check(args: argparse.Namespace, experiment: Experiment | None) -> list[str]:
    from bnn_train.cli.check import run_check

    if args.resume is None:
        return run_check(experiment, args.config, None)
    path, experiment = _to_resume(args.resume, experiment, args.set)
    return run_check(experiment, args.config, path)


def _profile(args: argparse.Namespace, experiment: Experiment | None) -> None:
    from bnn_train.cli.train_profile import profiled

    if experiment is None or args.resume:
        raise RunError("--profile needs --config F, and goes without --resume")
    print(profiled(experiment, args.config, args.profile))


class _Task(NamedTuple):
    """A training to begin, or to go on with."""

    path: Path
    resumes: bool
    experiment: Experiment | None
    """None: the stored one."""


def _task(args: argparse.Namespace, experiment: Experiment | None) -> _Task:
    from bnn_train.training.folder import is_unbegun, run_path

    if experiment is not None and (
        not args.resume or (args.resume == LATEST and is_unbegun(run_path(experiment)))
    ):
        return _Task(run_path(experiment), False, experiment)
    path, experiment = _to_resume(args.resume, experiment, args.set)
    return _Task(path, True, experiment)


def _train(task: _Task, loudness: int, world: World | None = None) -> None:
    from bnn_train.training.console import SILENT, Console
    from bnn_train.training.run import resume, start
    from bnn_train.world import ALONE

    world = world or ALONE
    console = Console(loudness if world.is_writer else SILENT)
    voice: Any = {"warn": _warning(console.warn), "begun": console.note, "console": console}
    if task.resumes or task.experiment is None:
        report = resume(task.path, task.experiment, **voice, world=world)
    else:
        report = start(task.experiment, **voice, world=world)
    if report:
        _tell(report, task.path)


def _together(args: argparse.Namespace) -> None:
    """The first process reads config and folders, and tells the others."""
    from bnn_train.report.versions import versions
    from bnn_train.world import join, leave

    world, told = join(), None
    with world.agreed():
        if world.is_writer:
            args.config = args.config and resolved(args.config)
            task = _task(args, _given(args.config, args.set, resumes=bool(args.resume)))
            chosen = task.experiment and task.experiment.model_dump(mode="json")
            told = {"path": str(task.path), "resumes": task.resumes, "experiment": chosen}
    told, first = world.told_by(0, told), world.told_by(0, versions())
    with world.agreed():
        if first != versions():
            raise RunError(
                f"the processes must have the same versions: {versions()} here, {first} in the first"
            )
    experiment = None if told["experiment"] is None else from_mapping(told["experiment"])
    _train(_Task(Path(told["path"]), told["resumes"], experiment), verbosity(args), world)
    leave(world)


def _to_resume(
    where: str, experiment: Experiment | None, overrides: Sequence[str]
) -> tuple[Path, Experiment | None]:
    """The run's folder, and the experiment to go on with where it is not the stored one."""
    from bnn_train.training.folder import latest, run_path
    from bnn_train.training.run import stored_experiment

    path = expanded(where)
    if where == LATEST:
        path = run_path(experiment) if experiment else latest(Path("runs"))
    if experiment is None and overrides:
        experiment = override(stored_experiment(path), overrides)
    return path, experiment


def _warning(tell: Callable[[str], None]) -> Callable[[str], None]:
    return lambda sentence: tell(f"warning: {sentence}")


def _tell(report: dict[str, Any], path: Path) -> None:
    low, high = report["top1_interval"]
    top5 = f", top-5 {report['top5']:.2f} %" if len(report["classes"]) > 5 else ""
    print(f"report: {path / 'report.md'}")
    told = (
        f"top-1 {report['top1']:.2f} %  (95 % interval {low:.2f}–{high:.2f},"
        f" {report['correct']} of {report['total']} test images{top5})"
    )
    print(coloured(told, sys.stdout))


if __name__ == "__main__":
    sys.exit(main())
