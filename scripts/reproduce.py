"""Run a published table again, row by row, and say how near its numbers are.

    python scripts/reproduce.py --list
    python scripts/reproduce.py mnist-one-protocol --root data [--seeds 3] [--fast 5] [--rows bnn_mlp,fp_mlp]

Each row trains as ``bnn-train`` would, after its stages where it has some. Stopped by Ctrl-C, a kill or a
power cut, the same command goes on where it was: finished runs are recognised by their folder and config,
half-finished ones resume.
``results.md`` and ``results.json`` in ``--out`` are written anew after every run, from all finished runs that
stand there: rows may be run one by one, or side by side. ``--fast`` cuts the epochs and moves the schedules
along; its numbers compare with nothing published, and every line says so. ``--publish`` puts the table into
``configs/<data>/RESULTS.md``. ``--record`` writes the means to ``configs/expected.json``, ``--verify`` holds
a later run against them. ``board`` and ``digits`` are tables of every method.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bnn_train.cli import terminal
from bnn_train.cli.common import guarded, path_argument, say
from bnn_train.errors import ConfigError, NonFiniteError, RunError
from bnn_train.files import write_atomic
from reproduction import board, expected
from reproduction.outcomes import outcomes
from reproduction.plans import ROOT, Options, Plan, config_path, planned
from reproduction.publish import published
from reproduction.results import markdown, row_result, table_result
from reproduction.runs import finish
from reproduction.tables import TABLES, Row, Stage, Table, chosen, table_of

CONFIGS = ROOT / "configs"
FAST = 5
POINTS = 1.5
BOARD_TABLE = "board"


def parser() -> argparse.ArgumentParser:
    """The script's options."""
    p = argparse.ArgumentParser(prog="reproduce.py", description=(__doc__ or "").splitlines()[0])
    p.add_argument("table", nargs="?", metavar="TABLE", help="its name, as --list tells it")
    p.add_argument("--list", action="store_true", help="name the tables and their rows")
    p.add_argument("--rows", metavar="A,B", help="only these rows")
    p.add_argument(
        "--seeds",
        type=_seeds,
        default=range(1, 2),
        metavar="N",
        help="seeds 1 to N of every row (default 1); A-B: seeds A to B, after others have run elsewhere",
    )
    p.add_argument(
        "--fast", nargs="?", type=int, const=FAST, metavar="N", help=f"at most N epochs (alone: {FAST})"
    )
    p.add_argument("--root", metavar="DATA", help="the data sets' folder, data.root of every row")
    p.add_argument("--out", type=path_argument, metavar="DIR", help="default: runs/reproduce/TABLE")
    p.add_argument("--threads", type=int, metavar="N", help="CPU threads")
    p.add_argument(
        "--set", metavar="A.B=C", action="append", default=[], help="replace a key in every row; repeatable"
    )
    p.add_argument(
        "--verify", action="store_true", help="fail where a mean is not what configs/expected.json says"
    )
    p.add_argument(
        "--record",
        nargs="?",
        type=float,
        const=POINTS,
        metavar="POINTS",
        help=f"write the means as what is expected, with at least so many points of tolerance ({POINTS})",
    )
    p.add_argument("--publish", action="store_true", help="also fill in configs/<data>/RESULTS.md")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    terminal.prepare()
    p = parser()
    args = p.parse_args(argv)
    if not (args.table or args.list):
        p.error("give a TABLE, for example mnist-one-protocol, or --list")
    return guarded(lambda: _list() if args.list else _reproduce(args))


def _seeds(text: str) -> range:
    """The seeds of ``3`` (1 to 3) and of ``2-3``."""
    first, dash, last = text.rpartition("-")
    try:
        seeds = range(int(first) if dash else 1, int(last) + 1)
    except ValueError:
        seeds = range(0)
    if not seeds or seeds[0] < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number from 1, or a range as in 2-3")
    return seeds


def _list() -> None:
    for table in TABLES.values():
        print(f"{table.name}: {table.title}")
        for row in table.rows:
            trained: tuple[Row | Stage, ...] = (*row.stages, row)
            for stage in trained:
                name = row.name if stage is row else f"{row.name}, {stage.name}"
                path = config_path(stage).relative_to(ROOT)
                print(f"    {name:<24}{path}  {' '.join(stage.overrides)}".rstrip())


def _reproduce(args: argparse.Namespace) -> None:
    for name, value in (("--fast", args.fast), ("--threads", args.threads)):
        if value is not None and value < 1:
            raise RunError(f"{name} must be at least 1, not {value}")
    table = table_of(args.table)
    options = Options(
        out=args.out or Path("runs/reproduce") / table.name,
        seeds=args.seeds,
        fast=args.fast,
        sets=tuple(args.set),
        root=args.root,
        threads=args.threads,
    )
    result = _run(table, chosen(table, args.rows), options)
    told = _publish(table, result) if args.publish else result
    print(markdown(result), end="", flush=True)
    if args.record is not None:
        expected.recorded(told, least=args.record)
        say("recorded; configs/METHODS.md tells them, too: python scripts/method_tables.py")
    if any(row["failed"] for row in result["rows"]):
        raise RunError("not all runs have a result; see the verdicts")
    if args.verify and (wrong := expected.deviations(result)):
        raise RunError("\n".join(wrong))


def _run(table: Table, rows: Sequence[Row], options: Options) -> dict[str, Any]:
    plans = list(_plans(table, rows, options))  # every config is read before the first one trains
    _prepare(options.out)
    failed: dict[str, dict[int, str]] = {plan.row.name: {} for plan in plans}
    for seed in options.seeds:
        for plan in plans:
            if plan.row not in rows:
                continue
            try:
                for experiment in (*plan.stages(seed), plan.experiment(seed)):
                    finish(experiment)
            except NonFiniteError as error:
                say(f"error: {error}")
                failed[plan.row.name][seed] = str(error)
            _write(table, plans, failed, options)
    result = _write(table, plans, failed, options)
    say(f"written: {options.out / 'results.md'}")
    return result


def _plans(table: Table, rows: Sequence[Row], options: Options) -> Iterator[Plan]:
    """Of all rows of the table; one that was not asked for may refuse what ``--set`` says."""
    for row in table.rows:
        try:
            yield planned(row, options)
        except ConfigError:
            if row in rows:
                raise


def _prepare(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / ".writable").touch()
        (out / ".writable").unlink()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise RunError(f"--out {str(out)!r}: cannot be written: {reason}") from None


def _write(
    table: Table, plans: Sequence[Plan], failed: Mapping[str, Mapping[int, str]], options: Options
) -> dict[str, Any]:
    """Everything that --out holds by now, in both files."""
    rows = [row_result(plan, outcomes(plan), failed[plan.row.name]) for plan in plans]
    result = table_result(table, rows, options)
    write_atomic(options.out / "results.json", json.dumps(result, indent=2) + "\n")
    write_atomic(options.out / "results.md", markdown(result))
    return result


def _publish(table: Table, result: dict[str, Any]) -> dict[str, Any]:
    """Write the table's page and return what it tells: the board's has the runs of earlier times, too."""
    if table.name == BOARD_TABLE and result["fast"] is None and not result["set"]:
        told = board.written(result)
        say(f"published: {board.PAGE}")
        return told
    path = CONFIGS / table.folder / "RESULTS.md"
    write_atomic(path, published(path, result))
    say(f"published: {path}")
    return result


if __name__ == "__main__":
    sys.exit(main())
