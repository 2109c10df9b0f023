"""The page of the board: every method under one budget, sorted, each beside its real-valued twin."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bnn_train.config.loader import load
from bnn_train.config.schema import Experiment
from bnn_train.errors import RunError
from bnn_train.files import write_atomic
from bnn_train.inspect.method_card import bits, packs
from bnn_train.report.markdown import table
from bnn_train.spec.methods import ENTRIES, METHODS
from reproduction import board_packed, board_runs
from reproduction.board_packed import Benches
from reproduction.plans import ROOT
from reproduction.provenance import setting
from reproduction.zoo import BOARD, NO_BOARD, TWIN, twin_of

FOLDER = ROOT / "configs/cifar10"
PAGE, CURVES = FOLDER / "BOARD.md", FOLDER / "board.svg"
RUNS = FOLDER / "board_runs.json"
HEAD = (
    "method",
    "year",
    "W/A",
    "top-1 %",
    "real twin %",
    "over `bnn`",
    "over `xnor`",
    "packs to",
)
BASES = ("bnn", "xnor")
SIGNIFICANT = 2.0
"""Standard errors by which two means must differ to be told apart."""

LABEL = 1.55
"""Points of accuracy that a name takes in the picture."""

Rows = Mapping[str, Mapping[str, Any]]


def written(result: Mapping[str, Any]) -> dict[str, Any]:
    """Write the page, its curves and its runs from a result of the table `board` and the runs before it, and
    return both, joined."""
    base = load(ROOT / f"configs/{BOARD}.yaml")
    result = board_runs.joined(result, base, RUNS)
    rows = {row["row"]: row for row in result["rows"] if row["mean"] is not None}
    if missing := [name for name in (*BASES, "fp") if name not in rows]:
        raise RunError(f"the board needs its bases, and {', '.join(missing)} has not run")
    known = board_packed.benches(FOLDER)
    _draw(rows)
    write_atomic(PAGE, "\n\n".join(_parts(base, result, rows, known)) + "\n")
    board_runs.kept(result, base, RUNS)
    return result


def _parts(base: Experiment, result: Mapping[str, Any], rows: Rows, known: Benches) -> Iterator[str]:
    ranked = sorted((name for name in rows if name in METHODS), key=lambda name: -rows[name]["mean"])
    single = [name for name in ranked if _bits(name) == "1/1"]
    few = [name for name in ranked if name not in single and name != "fp"]
    epochs = {rows[name]["epochs"] for name in ranked}
    yield "# Every method under one budget"
    yield (
        f"ResNet-20 (width {getattr(base.model, 'width', '')}) on CIFAR-10: {base.data.train_limit:,}"
        " training images,"
        f" {' or '.join(map(str, sorted(epochs)))} epochs, batches of {base.data.batch_size},"
        f" {base.optimizer.name} at"
        f" {base.optimizer.lr:g}, {base.schedule.name}, {_seeds(rows)}, the same order of the"
        " data for all; top-1 on"
        " the 10,000 test images after the last epoch, mean ± deviation over the seeds. **This is"
        " short**: a fiftieth"
        " of what such a network gets in a paper, without the recipe that each paper tuned for"
        " itself. It tells which method"
        " learns fast under equal conditions, and not which one ends highest."
    )
    yield "## Conclusion"
    yield " ".join(_conclusion(rows, single, few))
    yield "![Training accuracy by epoch](board.svg)"
    yield "## 1-bit weights and activations"
    head = (*HEAD, *board_packed.head(known))
    yield table(head, [_line(name, rows, known) for name in single])
    yield "## One side real, or more bits"
    yield table(head, [_line(name, rows, known) for name in few])
    yield _legend(known)
    if NO_BOARD:
        yield "Not on the board: " + "; ".join(f"`{name}`: {why}" for name, why in NO_BOARD.items()) + "."
    if missing := [row["row"] for row in result["rows"] if row["mean"] is None]:
        yield "Not run yet: " + ", ".join(f"`{name}`" for name in missing) + "."
    yield setting(result)
    yield (
        "```\npython scripts/reproduce.py board --root data --seeds N --publish --record   # goes on"
        " where it was stopped\n"
        "python scripts/reproduce.py board --root data --seeds N --verify\n"
        "python scripts/bench_methods.py\n```"
    )


def _bits(name: str) -> str:
    return f"{bits(METHODS[name].weight)}/{bits(METHODS[name].activation)}"


def _seeds(rows: Rows) -> str:
    counts = sorted({len(row["top1"]) for row in rows.values()})
    return "one seed" if counts == [1] else f"{' to '.join(map(str, {counts[0], counts[-1]}))} seeds"


def _line(name: str, rows: Rows, packed: Benches) -> list[str]:
    row, twin = rows[name], rows.get(twin_of(name))
    return [
        f"`{name}`",
        str(ENTRIES[name].year),
        _bits(name),
        _mean(row),
        "" if twin is None else _mean(twin),
        *(_gain(row, rows[base], pooled(rows)) if name != base else "" for base in BASES),
        packs(METHODS[name]),
        *board_packed.cells(name, packed),
    ]


def _mean(row: Mapping[str, Any]) -> str:
    return f"{row['mean']:.2f}" + ("" if row["std"] is None else f" ± {row['std']:.2f}")


def _gain(row: Mapping[str, Any], base: Mapping[str, Any], deviation: float | None) -> str:
    told = _plain(row, base)
    return f"**{told}**" if beats(row, base, deviation) else told


def beats(row: Mapping[str, Any], base: Mapping[str, Any], deviation: float | None) -> bool:
    """Whether a row is above another by more than the seeds' spread, which is that of all rows: two or three
    seeds of one row tell little of it. Of single seeds nothing is known, and nothing significant."""
    if deviation is None:
        return False
    error = deviation * math.sqrt(sum(1 / len(one["top1"]) for one in (row, base)))
    return float(row["mean"] - base["mean"]) > SIGNIFICANT * error


def pooled(rows: Rows) -> float | None:
    """The deviation of a seed, over all rows; None where each has one."""
    spreads = [(len(row["top1"]) - 1, row["std"] ** 2) for row in rows.values() if row["std"] is not None]
    weight = sum(count for count, _ in spreads)
    return math.sqrt(sum(count * square for count, square in spreads) / weight) if weight else None


def _conclusion(rows: Rows, single: Sequence[str], few: Sequence[str]) -> Iterator[str]:
    spread = pooled(rows)
    margin = "by more than the seeds' spread" if spread else "on one seed, whose spread is not known"
    for base in BASES:
        above = [name for name in single if name not in BASES and _above(rows[name], rows[base], spread)]
        told = ", ".join(f"`{name}` ({_plain(rows[name], rows[base])})" for name in above) or "none"
        yield (
            f"Of the {len(single)} methods of one bit here, {len(above)} gain over `{base}`"
            f" ({rows[base]['mean']:.2f} %) {margin}: {told}."
        )
    best, top = max(single, key=lambda name: rows[name]["mean"]), rows["fp"]["mean"]
    more = max(few, key=lambda name: rows[name]["mean"], default=best)
    seeds = f"a seed deviates by {spread:.2f} points (pooled over all rows)" if spread else "one seed a row"
    yield (
        f"The best of them, `{best}`, stays {top - rows[best]['mean']:.2f} points below the plain"
        " real-valued"
        f" network ({top:.2f} %), the best with more bits or one real side, `{more}`,"
        f" {top - rows[more]['mean']:.2f}; {seeds}."
    )


def _above(row: Mapping[str, Any], base: Mapping[str, Any], spread: float | None) -> bool:
    """Significantly, or, where each row has one seed, at all."""
    return beats(row, base, spread) if spread else bool(row["mean"] > base["mean"])


def _plain(row: Mapping[str, Any], base: Mapping[str, Any]) -> str:
    return f"{row['mean'] - base['mean']:+.2f}".replace("-", "−")


def _legend(known: Benches) -> str:
    return (
        "**Bold**: above by more than two standard errors of the difference, the deviation pooled"
        " over all rows. real twin: the real-valued network with the"
        " same blocks and norms (where the sign is their one nonlinearity, it is nearly linear)."
        " packs to: products of signs for one of the method's, weights × activations (a k-bit"
        f" method costs k_w·k_a of them; +1 an offset). {board_packed.legend(known)}"
    )


def apart(values: Sequence[float], gap: float) -> list[float]:
    """Rising numbers moved until neighbours are ``gap`` apart, the sum of squared moves the least: those that
    would overlap spread evenly about their mean."""
    blocks: list[tuple[float, int]] = []
    for i, value in enumerate(values):
        mean, count = value - i * gap, 1
        while blocks and blocks[-1][0] > mean:
            before, many = blocks.pop()
            mean, count = (before * many + mean * count) / (many + count), many + count
        blocks.append((mean, count))
    level = [mean for mean, count in blocks for _ in range(count)]
    return [mean + i * gap for i, mean in enumerate(level)]


def _draw(rows: Rows) -> None:
    """Training accuracy by epoch of the 1-bit methods, and of the real-valued network."""
    try:
        import matplotlib
    except ImportError:
        raise RunError("publishing the board needs matplotlib: pip install -e '.[plots]'") from None
    matplotlib.use("Agg")
    matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "board", "font.size": 8}
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(11, 6.5))
    colours = [*pyplot.get_cmap("tab20").colors[::2], *pyplot.get_cmap("tab20").colors[1::2]]
    axes.set_prop_cycle(linestyle=[*["-"] * len(colours), *["--"] * len(colours)], color=colours * 2)
    told: list[tuple[float, float, str, Any]] = []
    for name, row in rows.items():
        curve = row["curve"].get("train_top1", {})
        if not curve or name.startswith(TWIN) or (_bits(name) not in ("1/1", "32/32")):
            continue
        points = sorted((int(epoch), 100 - error) for epoch, error in curve.items())
        bold = name in (*BASES, "fp")
        (line,) = axes.plot(*zip(*points, strict=True), linewidth=2.2 if bold else 0.9)
        told.append((points[-1][1], points[-1][0], name, line.get_color()))
    told.sort(key=lambda line: line[:3])
    heights = apart([value for value, *_ in told], LABEL)
    for (value, epoch, name, colour), height in zip(told, heights, strict=True):
        leader = {"arrowstyle": "-", "color": colour, "linewidth": 0.8, "relpos": (0, 0.5), "shrinkB": 0}
        weight = "bold" if name in (*BASES, "fp") else "normal"
        at = (epoch + 0.45, height)
        axes.annotate(name, (epoch, value), at, va="center", weight=weight, arrowprops=leader)
    axes.set_xlabel("epoch")
    axes.set_ylabel("training top-1 %, first seed")
    axes.grid(color="#e6e6e6")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_xlim(left=1, right=max((epoch for _, epoch, _, _ in told), default=1) * 1.14)
    figure.tight_layout()
    figure.savefig(CURVES, metadata={"Date": None})
