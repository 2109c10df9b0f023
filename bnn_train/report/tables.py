"""The sections of a run's page that are tables: confusion, layers, packed twin, config."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from bnn_train.report.findings import Twin
from bnn_train.report.markup import Cell, Section, bar, left, table, text
from bnn_train.report.numbers import bytes_told, confused_most, short
from bnn_train.report.run_files import RunFiles

MOST_CLASSES = 30
"""Of a confusion matrix that is shown whole; of more, the pairs that are confused most."""
PAIRS = 20
Report = dict[str, Any]


def confusion(report: Report) -> Section:
    """Rows: the truth; columns: the answer."""
    classes, counts = report["classes"], report["confusion"]
    if len(classes) > MOST_CLASSES:
        told, inner = "The pairs that are confused most.", _pairs(classes, counts)
    else:
        told = "Rows: the truth. Columns: the answer. Shaded by the share of the row, mistakes threefold."
        inner = _matrix(classes, counts)
    pair = f"<div class=pair>{inner}<div>{_classes(report)}</div></div>"
    return Section("confusion", "Confusion", f"<p class=hint>{told}</p>{pair}")


def _matrix(classes: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    kind = "matrix long" if max(map(len, classes)) > 5 else "matrix"
    head = "".join(f"<th>{text(name)}</th>" for name in ("", *classes))
    rows = ""
    for i, row in enumerate(counts):
        cells = "".join(_share(n, sum(row), i == j, classes[i], classes[j]) for j, n in enumerate(row))
        rows += f"<tr><th>{text(classes[i])}</th>{cells}</tr>"
    return (
        f'<div class=wide><table class="{kind}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _share(count: int, total: int, hit: bool, truth: str, answer: str) -> str:
    share = count / total if total else 0.0
    shown = share if hit else min(1.0, 3 * share)  # a mistake is seen from afar
    kinds = [name for name, holds in (("hit", hit), ("strong", shown > 0.6)) if holds]
    kind = f' class="{" ".join(kinds)}"' if kinds else ""
    told = f"{text(truth)} answered as {text(answer)}: {count:,} of {total:,}"
    return f'<td{kind} style="--share:{100 * shown:.1f}%" title="{told}">{count or ""}</td>'


def _pairs(classes: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    rows = [
        (classes[i], left(classes[j]), f"{n:,}", f"{100 * n / sum(counts[i]):.1f}")
        for n, i, j in confused_most(counts, PAIRS)
    ]
    return table(("truth", Cell("answer", "left"), "images", "% of the class"), rows, kind="")


def _classes(report: Report) -> str:
    """A bar for each class, worst first where there are many."""
    rows = [row for row in report.get("per_class", []) if row["top1"] is not None]
    told = "<h3>Top-1 by class</h3>"
    if len(rows) > MOST_CLASSES:
        rows = sorted(rows, key=lambda row: float(row["top1"]))[:PAIRS]
        told = "<h3>The classes with the lowest top-1</h3>"
    cells = [(r["class"], f"{r['correct']:,} of {r['total']:,}", f"{r['top1']:.2f}", _top1(r)) for r in rows]
    return told + table(("class", "right", "top-1 %", Cell("")), cells, kind="")


def _top1(row: dict[str, Any]) -> Cell:
    return bar(row["top1"] / 100)


def layers(report: Report) -> Section:
    """Parameters, multiply-accumulates and bytes of each layer, 1-bit and real."""
    rows = report["layers"]
    bits = report.get("weight_bits") or 1
    most = max((row["bytes"] for row in rows), default=1) or 1
    head = ("layer", left("kind"), left("role"), left("output"), f"{bits}-bit weights", "real numbers")
    costs = (*(f"MACs {kind}" for kind in (f"{bits}-bit", f"{bits}-bit × real", "real")), "bytes")
    body = [_layer(row, most) for row in rows]
    total = {key: sum(row[key] for row in rows) for key in SUMMED}
    foot = _layer({"name": "total", "kind": "", "role": "", "output": None, **total}, 0)
    return Section(
        "layers",
        "Layers",
        table((*head, *costs, Cell("")), body, kind="full dense", foot=foot) + _layer_words(total, bits),
    )


SUMMED = ("params_binary", "params_real", "macs_binary", "macs_mixed", "macs_real", "bytes", "bytes_real")


def _layer(row: dict[str, Any], most: int) -> list[Cell | str]:
    numbers = [f"{row[key]:,}" if row[key] else "" for key in SUMMED[:5]]
    words = [left(str(row["kind"])), left(row["role"] or ""), left("×".join(map(str, row["output"] or ())))]
    kind = "" if row["params_binary"] else "half"
    length = bar(row["bytes"] / most, kind) if most else Cell("")
    return [row["name"] or "(model)", *words, *numbers, f"{row['bytes']:,}", length]


def _layer_words(total: dict[str, int], bits: int) -> str:
    macs = sum(total[key] for key in ("macs_binary", "macs_mixed", "macs_real")) or 1
    ratio = total["bytes_real"] / max(1, total["bytes"])
    told = (
        f"{short(total['params_binary'])} weights of {bits} bit and {short(total['params_real'])} real"
        f" numbers take {bytes_told(total['bytes'])}; in 32 bits they would take"
        f" {bytes_told(total['bytes_real'])}, {ratio:.1f} times as much. Of the {short(macs)}"
        f" MACs of an image, {100 * total['macs_binary'] / macs:.1f} % are of quantized weights"
        f" with quantized activations, {100 * total['macs_mixed'] / macs:.1f} % of quantized with real ones."
        " Bars: blue where a layer has quantized weights, orange where all are real."
    )
    return f"<p class=hint>{told}</p>"


def twin(found: Twin | str) -> Section:
    """Size and speed of the packed network."""
    if isinstance(found, str):
        return Section("packed", "Packed", f"<p>{text(found)}</p>")
    slow = max(found.packed_ms, found.trained_ms)
    real, packed = (f"{size:,}" for size in (found.real_bytes, found.file_bytes))
    size, time = found.file_bytes / found.real_bytes, found.packed_ms / slow
    trained = bar(found.trained_ms / slow, "off")
    rows = [
        ("in 32 bits, PyTorch", real, bar(1, "off"), f"{found.trained_ms:.3f}", trained),
        (f"packed, kernel {found.kernel}", packed, bar(size), f"{found.packed_ms:.3f}", bar(time)),
    ]
    told = (
        f"The packed file is <b>{found.real_bytes / found.file_bytes:.1f} times smaller</b> and answers one"
        f" image <b>{found.trained_ms / found.packed_ms:.1f} times faster</b> (one thread, medians on the"
        f" machine that wrote this page). Both networks agreed on {found.images:,} images."
    )
    head = ("", "bytes", Cell(""), "ms an image", Cell(""))
    return Section("packed", "Packed twin", f"<p>{told}</p>{table(head, rows, kind='')}")


def setting(run: RunFiles) -> Section:
    """The resolved config, and the versions that computed."""
    versions = (run.report or {}).get("versions", {})
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    dumped = yaml.safe_dump(run.config, sort_keys=False, allow_unicode=True, width=100)
    inner = f"<details><summary>The resolved config</summary><pre>{text_lines(dumped)}</pre></details>"
    return Section("setting", "Setting", (f"<p class=hint>{text(told)}</p>" if told else "") + inner)


def text_lines(words: str) -> str:
    """Escaped line by line, so that the lines stay."""
    return "\n".join(text(line) for line in words.rstrip("\n").split("\n"))
