"""``bnn-report``: runs → a page that explains them, or a comparison; tables for a terminal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bnn_train.cli import outputs, terminal
from bnn_train.cli.common import add_common, guarded, path_argument, say, verbosity
from bnn_train.errors import RunError
from bnn_train.files import write_atomic
from bnn_train.report.run_files import RunFiles, read_runs

if TYPE_CHECKING:
    from bnn_train.report.plots import Plot

PAGE, COMPARISON = "report.html", "comparison.html"


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(
        prog="bnn-report",
        description="Write one HTML page about a run, which opens from disk, or a comparison of several.",
    )
    p.add_argument("runs", metavar="RUN", nargs="+", type=path_argument, help="run folders")
    p.add_argument(
        "--out",
        metavar="F",
        type=path_argument,
        help=f"the page; default: {PAGE} in the run folder, {COMPARISON} here for several runs",
    )
    p.add_argument("--text", action="store_true", help="print tables and curves; write no page")
    p.add_argument("--svg", metavar="DIR", type=path_argument, help="save each plot there, too, for a paper")
    p.add_argument("--png", metavar="DIR", type=path_argument, help="the same as PNG, 300 dots an inch")
    p.add_argument(
        "--no-packed", action="store_true", help="leave the packed twin's size and speed out: seconds less"
    )
    p.add_argument(
        "--root", metavar="FOLDER", help="the test images, if a run kept no pictures of its mistakes"
    )
    add_common(p, "bnn-report runs/quickstart")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    terminal.prepare()
    args = parser().parse_args(argv)
    verbosity(args)
    return guarded(lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    runs = read_runs(args.runs)
    if args.text:
        _print(runs)
        return
    from bnn_train.report.plots import check_matplotlib

    check_matplotlib()
    out = args.out or (args.runs[0] / PAGE if len(runs) == 1 else Path(COMPARISON))
    outputs.check({"--out": out}, {})
    for folder in (args.svg, args.png):
        if folder is not None:
            _check_folder(folder)
    html, plots = _page(runs, args)
    write_atomic(out, html.encode("utf-8", "replace"))
    _save(plots, args.svg, "svg")
    _save(plots, args.png, "png")
    print(f"report: {out}")


def _print(runs: Sequence[RunFiles]) -> None:
    from bnn_train.report.text import comparison_text, run_text

    print(run_text(runs[0]) if len(runs) == 1 else comparison_text(runs))


def _page(runs: Sequence[RunFiles], args: argparse.Namespace) -> tuple[str, list[Plot]]:
    if len(runs) > 1:
        from bnn_train.report.comparison import comparison_page

        return comparison_page(runs)
    from bnn_train.cli.report_findings import findings
    from bnn_train.report.page import run_page

    return run_page(runs[0], findings(runs[0], root=args.root, packed=not args.no_packed))


def _check_folder(folder: Path) -> None:
    """Make it; raises RunError where it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder}: cannot be made: {error.strerror}; name a folder for the plots") from None


def _save(plots: Sequence[Plot], folder: Path | None, ending: str) -> None:
    if folder is None:
        return
    from bnn_train.report.svg import file_bytes

    for plot in plots:
        name = "".join(c if c.isalnum() or c in "-_." else "_" for c in plot.name)
        write_atomic(folder / f"{name}.{ending}", file_bytes(plot.figure, ending))
    say(f"{len(plots)} plots: {folder}")


if __name__ == "__main__":
    sys.exit(main())
