"""``bnn-sweep``: a grid of runs on this machine, or their commands for another, and one table of them."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence

from bnn_train.cli import terminal
from bnn_train.cli.common import add_common, guarded, path_argument, say, verbosity
from bnn_train.errors import EXIT_USER_ERROR, BnnError
from bnn_train.files import write_atomic
from bnn_train.sweep.grid import Plan, plan

_EXAMPLE = """example, grid.yaml:
  config: quickstart.yaml
  set: {training.epochs: 10}
  grid:
    method: [bnn, xnor]
    optimizer.lr: [1.0e-3, 1.0e-2]
    seed: [1, 2, 3]

  bnn-sweep grid.yaml --processes 4
  bnn-sweep grid.yaml --print"""


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(
        prog="bnn-sweep",
        description="Run every combination of a grid file; go on with what was interrupted, leave what is"
        " finished, and collect one table: mean and deviation over the seeds.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("grid", metavar="GRID.yaml", type=path_argument, help="the grid, see below")
    p.add_argument("--processes", metavar="N", type=int, default=1, help="runs at a time; default 1")
    p.add_argument(
        "--print",
        action="store_true",
        help="print a command for each run, for a scheduler: it begins the run or goes on with it",
    )
    p.add_argument("--table", action="store_true", help="run nothing, collect the table of what is there")
    add_common(p, "bnn-sweep grid.yaml --processes 2")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    terminal.prepare()
    p = parser()
    args = p.parse_args(argv)
    verbosity(args)
    if args.processes < 1:
        p.error("--processes must be at least 1")
    if args.print and args.table:
        p.error("give one of --print and --table")
    failed: list[str] = []
    return guarded(lambda: _run(args, failed)) or (EXIT_USER_ERROR if failed else 0)


def _run(args: argparse.Namespace, failed: list[str]) -> None:
    """Do what the options ask for; the names of runs that failed are added to ``failed``."""
    if not args.grid.is_file():
        raise BnnError(f"{args.grid}: no such grid file")
    planned = plan(args.grid)
    if args.print:
        for run in planned.runs:
            print(shlex.join(["bnn-train", *run.words]))
        return
    if not args.table:
        from bnn_train.sweep.processes import execute  # torch

        outcome = execute(planned, args.processes, say)
        failed += outcome.failed
    _collect(planned)
    for name in failed:
        say(f"error: {name} failed; its output: {planned.folder / name}.log")


def _collect(planned: Plan) -> None:
    from bnn_train.sweep import table

    found = table.rows(planned)
    planned.folder.mkdir(parents=True, exist_ok=True)
    write_atomic(planned.folder / "sweep.md", table.as_markdown(planned, found))
    write_atomic(planned.folder / "sweep.csv", table.as_csv(planned, found))
    print(table.as_text(planned, found))
    say(f"table: {planned.folder / 'sweep.md'}, sweep.csv")


if __name__ == "__main__":
    sys.exit(main())
