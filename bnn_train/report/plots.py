"""The plots of a report, drawn by matplotlib: lines over the epochs, ridges of histograms, matrices."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnn_train.errors import BnnError
from bnn_train.report.palette import GRID, INK, MUTED, PAPER, SERIES
from bnn_train.report.run_files import Entry, Points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RIDGES = 9
"""Histograms of one plot, spread over the run."""
SOFT = 8
"""Names in a legend, beyond which some are left out."""
STYLE: dict[str, Any] = {
    "font.size": 9,
    "font.family": ["DejaVu Sans"],
    "axes.edgecolor": MUTED.light,
    "axes.labelcolor": MUTED.light,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID.light,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED.light,
    "ytick.color": MUTED.light,
    "text.color": INK.light,
    "figure.facecolor": PAPER.light,
    "axes.facecolor": "none",
    "legend.frameon": False,
    "legend.labelcolor": INK.light,
    "svg.fonttype": "none",
    "svg.hashsalt": "bnn_train",
}


class Line(NamedTuple):
    """A curve with its name."""

    name: str
    points: Points


class Plot(NamedTuple):
    """A figure, and the name of its file."""

    name: str
    title: str
    figure: Figure


def check_matplotlib() -> None:
    """Raises BnnError where there is none."""
    try:
        import matplotlib  # noqa: F401  # only whether it is there
    except ImportError:
        raise BnnError(
            "matplotlib is missing, which draws the plots: pip install 'bnn-train[plots]' (from a checkout:"
            " pip install -e '.[plots]'); bnn-report --text does without"
        ) from None


def lines(
    curves: Sequence[Line], label: str, *, log: bool = False, size: tuple[float, float] = (3.7, 2.5)
) -> Figure:
    """Curves over the epochs, with a legend where there is more than one."""
    pairs = [pair for pair in zip(curves, _colours(len(curves)), strict=True) if pair[0].points]
    curves = [line for line, _ in pairs]
    with _styled():
        figure, axes = _axes(size)
        for line, colour in pairs:
            _line(axes, line, colour)
        if log and all(value > 0 for line in curves for _, value in line.points):
            _logarithmic(axes)
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        _whole_epochs(axes, curves)
        if len(curves) > 1:
            _legend(axes, [line.name for line in curves])
        return figure


def _line(axes: Axes, line: Line, colour: str) -> None:
    x, y = zip(*line.points, strict=True)
    axes.plot(x, y, color=colour, linewidth=1.5, marker="o" if len(x) == 1 else None, markersize=4)


def _logarithmic(axes: Axes) -> None:
    """Ticks as plain numbers; over less than a decade between its powers, too."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 50 * low else (1.0,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _whole_epochs(axes: Axes, curves: Sequence[Line]) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True, min_n_ticks=1))
    last = max((x for line in curves for x, _ in line.points), default=1)
    if last > 1:
        axes.set_xlim(1, last)


def _legend(axes: Axes, names: Sequence[str]) -> None:
    """Above the axes; of many curves in order, the first, the last and some between."""
    count = len(names)
    chosen = sorted({*range(0, count, -(-count // SOFT)), count - 1})
    handles = axes.get_lines()
    longest = max(len(names[i]) for i in chosen)
    columns = max(1, min(len(chosen), 4, 40 // (longest + 4)))
    axes.legend(
        [handles[i] for i in chosen],
        [names[i] for i in chosen],
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=columns,
        fontsize=8,
        handlelength=1.2,
        columnspacing=1.2,
        borderaxespad=0.2,
    )


def _colours(count: int) -> list[str]:
    """The palette's, or, for more curves, a ramp from blue to red that is legible on light and dark."""
    if count <= len(SERIES):
        return [colour.light for colour in SERIES[:count]]
    hues = [0.62 - 0.62 * i / (count - 1) for i in range(count)]
    return [_hex(colorsys.hls_to_rgb(hue, 0.5, 0.62)) for hue in hues]


def _hex(rgb: tuple[float, float, float]) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in rgb)


def ridges(entries: Sequence[Entry], layer: str, size: tuple[float, float] = (2.4, 2.3)) -> Figure:
    """The histograms of a layer's latent weights one above the other, from the first epoch to the last."""
    told = [entry for entry in entries if layer in entry["counts"]]
    places = np.unique(np.linspace(0, len(told) - 1, min(RIDGES, len(told))).round().astype(int))
    chosen = [told[i] for i in places]
    edge = max(entry["edges"][layer] for entry in chosen)
    with _styled():
        figure, axes = _axes(size)
        for level, entry in enumerate(chosen):
            x, height = _density(entry["edges"][layer], entry["counts"][layer], edge)
            floor, order = float(-level), 2 * level
            outline = np.concatenate([[floor], floor + 1.4 * height, [floor]])
            x = np.concatenate([x[:1], x, x[-1:]])
            shade = 0.25 + 0.5 * (level + 1) / len(chosen)
            axes.fill(x, outline, facecolor=PAPER.light, zorder=order, linewidth=0)
            axes.fill(x, outline, color=SERIES[0].light, alpha=shade, zorder=order, linewidth=0.8)
        axes.set_yticks([-i for i in range(len(chosen))], [str(entry["epoch"]) for entry in chosen])
        axes.set_ylabel("epoch")
        axes.set_xlabel("latent weight")
        axes.grid(visible=False)
        axes.axvline(0, color=MUTED.light, linewidth=0.6, linestyle=(0, (3, 3)), zorder=0)
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        return figure


def _density(edge: float, counts: Sequence[int], shown: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Heights over −shown to +shown: the histogram's steps, brought to bins of one common width. The highest
    between the ends is 1; at the ends, where a clip heaps weights up, at most a third more is drawn."""
    bins = len(counts)
    below = np.concatenate([[0.0], np.cumsum(counts, dtype=float)])
    wanted = np.linspace(-shown, shown, bins + 1)
    share = np.diff(np.interp(wanted, np.linspace(-edge, edge, bins + 1), below))
    return (wanted[:-1] + wanted[1:]) / 2, np.minimum(share / max(share[1:-1].max(), 1e-12), 4 / 3)


def confusion(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> Figure:
    """The confusion matrix with its counts, shaded by the share of the true class."""
    table = np.asarray(counts, float)
    shares = table / np.maximum(1, table.sum(axis=1, keepdims=True))
    side = 1.6 + 0.32 * len(classes)
    with _styled():
        figure, axes = _axes((side, side))
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for i, j in zip(*np.nonzero(table), strict=True):
            colour = "white" if shares[i, j] > 0.5 else INK.light
            axes.text(j, i, f"{table[i, j]:.0f}", ha="center", va="center", color=colour, fontsize=7)
        axes.set_xticks(range(len(classes)), classes, rotation=90 if max(map(len, classes)) > 3 else 0)
        axes.set_yticks(range(len(classes)), classes)
        axes.set_xlabel("answer")
        axes.set_ylabel("truth")
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        return figure


def scatter(points: Sequence[tuple[str, float, float]]) -> Figure:
    """Top-1 over the bytes of the packed network, a point for each run in the colour of its curves."""
    with _styled():
        figure, axes = _axes((3.7, 2.5))
        for (name, size, top1), colour in zip(points, _colours(len(points)), strict=True):
            axes.plot(size, top1, "o", color=colour, markersize=6, label=name)
        axes.set_xscale("log")
        axes.margins(x=0.15, y=0.15)
        axes.set_xlabel("bytes, packed")
        axes.set_ylabel("top-1 %")
        _legend(axes, [name for name, _, _ in points])
        return figure


@contextmanager
def _styled() -> Iterator[None]:
    """Matplotlib's settings inside; the former ones after."""
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        yield


def _axes(size: tuple[float, float]) -> tuple[Figure, Axes]:
    """A figure, in inches, that no window knows, with one axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots()
