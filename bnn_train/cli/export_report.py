"""The report of an export: bytes of each layer, parity of the two networks, cost of options, speed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bnn_train.aligned import aligned
from bnn_train.cli.latency import Classify, latencies
from bnn_train.config.local import shown
from bnn_train.export.checks import TOLERANCE
from bnn_train.export.parity import LOGITS, Parity
from bnn_train.export.run import Export
from bnn_train.export.sizes import sizes
from bnn_train.inspect.layers import layer_table


def collect(export: Export, parity: Parity, out: Path, *, latency: bool) -> dict[str, Any]:
    """The whole report as plain data."""
    real = {row.name: row.bytes_real for row in layer_table(export.model, export.shape)}
    rows = sizes(export.lowered)
    stored = {row.layer: row for row in rows}
    names = [*dict.fromkeys([*real, *stored])]
    layers = [
        {
            "layer": name,
            "form": stored[name].form if name in stored else "in thresholds",
            "bytes_fp32": real.get(name, 0),
            "bytes_predicted": stored[name].predicted if name in stored else 0,
            "bytes_file": stored[name].stored if name in stored else 0,
        }
        for name in names
    ]
    return {
        "checkpoint": shown(export.path),
        "out": shown(out),
        "method": export.experiment.method.name,
        "model": export.experiment.model.name,
        "options": export.options.model_dump(),
        "notes": list(export.lowered.notes),
        "file_bytes": len(export.content),
        "predicted_bytes": sum(row.predicted for row in rows),
        "tensor_bytes": sum(row.stored for row in rows),
        "fp32_bytes": sum(real.values()),
        "layers": layers,
        "parity": _parity(export, parity),
        "loss": None if export.loss is None else vars(export.loss),
        "latency_ms": _latency(export) if latency else None,
        "threads": export.args.threads,
    }


def _parity(export: Export, parity: Parity) -> dict[str, Any]:
    exact = [row for row in parity.rows if row.exact]
    return {
        "images": parity.images,
        "origin": export.images.origin,
        "kernel": parity.kernel,
        "flips_checked": export.flips,
        "exact_steps": len(exact),
        "exact_bits": sum(row.check.bits for row in exact),
        "rounded_steps": len(parity.rows) - len(exact),
        "tolerance": TOLERANCE,
        "worst_share": max((row.check.deviation for row in parity.rows), default=0.0),
        "ties": {row.layer: row.check.ties for row in parity.rows if row.check.ties},
        "rounded_bits": sum(row.check.bits for row in parity.rows if not row.exact),
        "touched": parity.touched,
        "touched_top1": parity.touched_top1,
        "close_calls": parity.close_calls,
        "logits_deviation": parity.deviation,
        "logits_tolerance": LOGITS,
    }


def _latency(export: Export) -> dict[str, float]:
    packed = f"packed, {export.packed.kernel}"
    runs: dict[str, Classify] = {packed: export.packed, "PyTorch as trained": export.trained}
    return latencies(runs, export.images.pixels[:1])


# ------------------------------------------------------------------------------------ for people


def lines(report: dict[str, Any]) -> list[str]:
    """The report as text."""
    return [
        *_table(report["layers"]),
        "",
        *_sizes(report),
        *_compared(report["parity"]),
        *_cost(report),
        *_speed(report),
    ]


def _table(layers: Sequence[dict[str, Any]]) -> list[str]:
    head = ("layer", "stored as", "32-bit bytes", "predicted", "in the file")
    keys = ("bytes_fp32", "bytes_predicted", "bytes_file")
    body = [(row["layer"], row["form"], *(f"{row[key]:,}" for key in keys)) for row in layers]
    total = ("total", "", *(f"{sum(row[key] for row in layers):,}" for key in keys))
    return aligned(head, body, (0, 1), total)


def _sizes(report: dict[str, Any]) -> list[str]:
    real, packed = report["fp32_bytes"], report["file_bytes"]
    return [
        f"file       {packed:,} bytes ({report['tensor_bytes']:,} of tensors, predicted"
        f" {report['predicted_bytes']:,}); {real:,} in 32 bits: {real / packed:.1f} times smaller"
    ]


def _compared(parity: dict[str, Any]) -> list[str]:
    ties = ", ".join(f"{count} in {layer}" for layer, count in parity["ties"].items()) or "none"
    clear = parity["images"] - parity["touched"]
    return [
        f"parity     {parity['images']} images ({parity['origin']}), kernel {parity['kernel']}",
        f"  exact    {_steps(parity['exact_steps'])}, equal bit for bit ({parity['exact_bits']:,} bits);"
        f" {parity['flips_checked']:,} numbers at thresholds checked",
        f"  rounded  {_steps(parity['rounded_steps'])} with sums of floats: real values within"
        f" {parity['worst_share']:.2f} of the tolerance {parity['tolerance']:g}·Σ|w·x|,",
        f"           ties (bits that differ within it) of {parity['rounded_bits']:,}: {ties}",
        f"  whole    {clear} images whose bits are all equal: {parity['close_calls']} other answers,"
        f" logits within {parity['logits_deviation']:.1e} of the largest",
        f"           {parity['touched']} images in which rounding changed a bit:"
        f" {parity['touched_top1']} other answers",
    ]


def _steps(count: int) -> str:
    return f"{count} step{'s' * (count != 1)}"


def _cost(report: dict[str, Any]) -> list[str]:
    loss = report["loss"]
    if loss is None:
        return []
    right = loss["correct"]
    images = report["parity"]["images"]
    scored = "" if right is None else f"; {right[1]} right instead of {right[0]}"
    return [
        f"options    cost {loss['changed_top1']} other answers of {images}{scored};"
        f" logits differ by up to {loss['largest']:.3g}"
    ]


def _speed(report: dict[str, Any]) -> list[str]:
    times = report["latency_ms"]
    if times is None:
        return []
    packed, trained = times.values()
    each = ", ".join(f"{name} {taken:.3f} ms" for name, taken in times.items())
    used = f"{report['threads']} thread{'s' * (report['threads'] > 1)}"
    return [f"latency    one image, {used}: {each}; {trained / packed:.1f} times faster"]
