"""report.md: the report as a person reads it, the number and its conditions first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import yaml

from bnn_train.report.numbers import duration

MAX_CONFUSION = 20
MAX_EPOCHS = 30
HISTORY = {
    "train_loss": ("train loss", "{:.4f}"),
    "train_top1": ("train %", "{:.2f}"),
    "validation_loss": ("validation loss", "{:.4f}"),
    "validation_top1": ("validation %", "{:.2f}"),
    "test_top1": ("test %", "{:.2f}"),
    "flip_rate": ("flips %", "{:.3f}"),
    "lr": ("learning rate", "{:.3g}"),
}
SPARKS = "▁▂▃▄▅▆▇█"

Report = dict[str, Any]


def render(report: Report) -> str:
    """A report (``build_report``) as Markdown."""
    sections = (_headline, _model, _training, _epochs, _classes, _confusion, _setting)
    return "\n\n".join(text for section in sections for text in section(report)) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; all columns but the first are aligned to the right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(_cell(c) for c in line) + " |" for line in [head, rule, *rows])


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _headline(report: Report) -> Iterator[str]:
    yield f"# {report['title']}: top-1 {report['top1']:.2f} %"
    yield "\n".join(
        [
            f"- top-1 **{report['top1']:.2f} %**, 95 % interval {_range(report['top1_interval'])}:"
            f" {report['correct']:,} of {report['total']:,} test images",
            *_top5(report),
            f"- selection: {report['selection_rule']} (epoch {report['best_epoch']} of {report['epochs']})"
            if report["epochs"]
            else "- not trained: the weights that the run started from",
            *_published(report),
            *_unscored(report),
        ]
    )
    for note in report["notes"]:
        yield f"> **{note}**"


def _top5(report: Report) -> Iterator[str]:
    if len(report["classes"]) > 5:  # of five or fewer, it is always right
        yield f"- top-5 {report['top5']:.2f} %, 95 % interval {_range(report['top5_interval'])}"


def _range(interval: Sequence[float]) -> str:
    return f"{interval[0]:.2f}–{interval[1]:.2f} %"


def _published(report: Report) -> Iterator[str]:
    reference = report["reference"]
    if reference is not None:
        source = ", ".join(part for part in (reference["paper"], reference["table"]) if part)
        difference = f"{reference['difference']:+.2f}".replace("-", "−")
        cited = f" ({source})" if source else ""
        yield f"- published: {reference['top1']:.2f} %{cited}; here {difference} points{_band(reference)}"


def _band(reference: dict[str, Any]) -> str:
    if reference["band"] is None:
        return ""
    return f", {'inside' if reference['inside'] else 'outside'} the published band of ±{reference['band']:g}"


def _unscored(report: Report) -> Iterator[str]:
    if report["unscored"]:
        yield f"- images that got NaN for an answer, counted as wrong: {report['unscored']:,}"


def _model(report: Report) -> Iterator[str]:
    yield "## Model"
    parameters, macs, bits = report["parameters"], report["macs"], report["weight_bits"] or 1
    ratio = report["bytes_real"] / report["bytes"] if report["bytes"] else 1.0
    rows = [
        (f"parameters of {bits} bit", f"{parameters['binary']:,}"),
        ("real parameters", f"{parameters['real']:,}"),
        ("MACs per image, quantized × quantized", _share(macs["binary"], macs)),
        ("MACs per image, one side quantized", _share(macs["mixed"], macs)),
        ("MACs per image, real", _share(macs["real"], macs)),
        ("bytes, packed", f"{report['bytes']:,}"),
        ("bytes, 32-bit", f"{report['bytes_real']:,} ({ratio:.1f}×)"),
    ]
    yield table(("", "count"), rows)


def _share(count: int, macs: dict[str, int]) -> str:
    return f"{count:,} ({100 * count / max(1, sum(macs.values())):.2f} %)"


def _training(report: Report) -> Iterator[str]:
    yield "## Training"
    yield "\n".join(
        [
            f"- {report['epochs']} epochs in {duration(report['wall_time_s'])},"
            f" {report['images_per_s']:,.0f} images/s",
            f"- seed {report['seed']}",
            "- " + ", ".join(f"{name} {version}" for name, version in report["versions"].items()),
        ]
    )


def _epochs(report: Report) -> Iterator[str]:
    history = report["history"]
    if not history:
        return
    yield "## Epochs"
    for key in ("validation_top1", "test_top1", "train_top1"):
        curve = [entry.get(key) for entry in history]
        if curve[0] is not None:
            yield f"{HISTORY[key][0]}: `{sparkline(curve)}`"
            break
    columns = [key for key in HISTORY if any(key in entry for entry in history)]
    shown = [entry for i, entry in enumerate(history) if _shown(i, entry, report)]
    head = ("epoch", *(HISTORY[key][0] for key in columns))
    yield table(head, ([_epoch(entry, report), *(_number(entry, key) for key in columns)] for entry in shown))


def sparkline(curve: Sequence[float | None], width: int = 60) -> str:
    """At most ``width`` bars of eight heights, from the smallest value to the largest; a gap for None."""
    picked = [curve[i * len(curve) // width] for i in range(width)] if len(curve) > width else curve
    known = [value for value in picked if value is not None]
    low, span = min(known, default=0.0), max(known, default=0.0) - min(known, default=0.0)
    return "".join(
        " " if v is None else SPARKS[int((v - low) / span * 7 + 0.5) if span else 0] for v in picked
    )


def _shown(index: int, entry: Report, report: Report) -> bool:
    """Every epoch of a short run; of a long one about thirty, the chosen one and the last."""
    stride = -(-len(report["history"]) // MAX_EPOCHS)
    chosen = entry.get("epoch") == report["best_epoch"] or index == len(report["history"]) - 1
    return index % stride == 0 or chosen


def _epoch(entry: Report, report: Report) -> str:
    epoch = entry.get("epoch")
    return f"**{epoch}**" if epoch == report["best_epoch"] else str(epoch)


def _number(entry: Report, key: str) -> str:
    value = entry.get(key)
    if value is None:
        return ""
    return HISTORY[key][1].format(100 * value if key == "flip_rate" else value)


def _classes(report: Report) -> Iterator[str]:
    yield "## Classes"
    rows = (
        (row["class"], row["correct"], row["total"], "" if row["top1"] is None else f"{row['top1']:.2f}")
        for row in report["per_class"]
    )
    yield table(("class", "correct", "images", "top-1 %"), rows)


def _confusion(report: Report) -> Iterator[str]:
    classes = report["classes"]
    if len(classes) > MAX_CONFUSION:
        return
    yield "## Confusion"
    yield "Rows: the truth. Columns: the answer."
    rows = ([name, *counts] for name, counts in zip(classes, report["confusion"], strict=True))
    yield table(("", *classes), rows)


def _setting(report: Report) -> Iterator[str]:
    yield "## Config"
    dumped = yaml.safe_dump(report["config"], sort_keys=False, allow_unicode=True, width=100)
    yield f"```yaml\n{dumped}```"
