"""A report for a terminal: tables and curves of block letters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bnn_train.aligned import aligned
from bnn_train.errors import printable
from bnn_train.report.comparison import different, ranked
from bnn_train.report.markdown import sparkline
from bnn_train.report.numbers import bytes_told, confused_most, duration, interval
from bnn_train.report.run_files import RunFiles

CURVES = {
    "train_loss": "training loss",
    "validation_loss": "validation loss",
    "train_top1": "training top-1 %",
    "validation_top1": "validation top-1 %",
    "test_top1": "test top-1 %",
    "flip_rate": "flip rate",
    "lr": "learning rate",
}
PAIRS = 8


def run_text(run: RunFiles) -> str:
    """One run."""
    parts = [_head(run), _curves(run), _flips(run), _confused(run)]
    return "\n\n".join("\n".join(lines) for lines in map(list, parts) if lines)


def comparison_text(runs: Sequence[RunFiles]) -> str:
    """Several runs, the best first."""
    runs = ranked(runs)
    head = ("run", "what", "top-1 %", "interval", "epochs", "bytes", "training", "error by epoch")
    table = aligned(head, [_row(run) for run in runs], (0, 1, 7))
    changed = [(key, *values) for key, values in different(runs)]
    lines = ["", *aligned(("key", *(run.name for run in runs)), changed, range(len(runs) + 1))]
    return "\n".join([*table, *(lines if changed else [])])


def _row(run: RunFiles) -> tuple[str, ...]:
    error = sparkline([-value for _, value in run.scored], 24)
    report = run.report
    if report is None:
        return run.name, run.title, "–", "unfinished", str(len(run.epochs)), "", "", error
    return (
        run.name,
        run.title,
        f"{report['top1']:.2f}",
        interval(report["top1_interval"]),
        str(report.get("epochs", len(run.epochs))),
        bytes_told(report["bytes"]),
        duration(report.get("wall_time_s") or 0.0),
        error,
    )


def _head(run: RunFiles) -> Iterator[str]:
    yield f"{run.title}  ({run.name})"
    if run.report is None:
        yield f"{len(run.epochs)} epochs done; the test set has not been read"
        return
    report = run.report
    told = f"top-1 {report['top1']:.2f} % of {report['total']:,} test images"
    yield f"{told}, 95 % interval {interval(report['top1_interval'])}"
    ratio = report["bytes_real"] / max(1, report["bytes"])
    yield f"{bytes_told(report['bytes'])} packed, {ratio:.1f} times smaller than in 32 bits"
    yield from (f"note: {note}" for note in report.get("notes", []))


def _curves(run: RunFiles) -> Iterator[str]:
    rows = []
    for key, name in CURVES.items():
        values = [value for _, value in run.curve(key)]
        if values:
            rows.append((name, sparkline(values, 48), f"{values[0]:.4g}", f"{values[-1]:.4g}"))
    if rows:
        yield from aligned((f"{len(run.epochs)} epochs", "", "first", "last"), rows, (0, 1))


def _flips(run: RunFiles) -> Iterator[str]:
    flips, clips = run.layer_curves("flip_rate"), run.layer_curves("at_clip")
    rows = []
    for layer, points in flips.items():
        values = [value for _, value in points]
        clip = f"{100 * clips[layer][-1][1]:.1f}" if layer in clips else ""
        rows.append((layer, sparkline(values, 48), f"{100 * values[-1]:.3f}", clip))
    if rows:
        yield from aligned(("layer", "flips", "last %", "at the clip %"), rows, (0, 1))


def _confused(run: RunFiles) -> Iterator[str]:
    if run.report is None:
        return
    classes, counts = run.report["classes"], run.report["confusion"]
    found = confused_most(counts, PAIRS)
    rows = [(printable(classes[i]), printable(classes[j]), f"{n:,}") for n, i, j in found]
    if rows:
        yield from aligned(("truth", "answer", "images"), rows, (0, 1))
