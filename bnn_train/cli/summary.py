"""``bnn-summary``: a config, a checkpoint or a packed file → its layer table, in the field's terms."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bnn_train.aligned import aligned
from bnn_train.cli import terminal
from bnn_train.cli.checkpoints import find_own, is_packed
from bnn_train.cli.common import add_common, guarded, path_argument, verbosity

if TYPE_CHECKING:
    from bnn_train.packed.summary import StepRow

LEFT = (0, 1, 2)


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(
        prog="bnn-summary",
        description="Print a network's layers: 1-bit and real parameters, multiply-accumulates, bytes,"
        " activation memory.",
    )
    p.add_argument(
        "source",
        metavar="CONFIG|RUN|CHECKPOINT|FILE.bnn",
        type=path_argument,
        help="a config needs no data, and a packed file no torch",
    )
    p.add_argument("--json", action="store_true", help="print JSON instead of the table")
    add_common(p, "bnn-summary configs/quickstart.yaml")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    terminal.prepare()
    args = parser().parse_args(argv)
    verbosity(args)
    return guarded(lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    found = _packed(args.source) if is_packed(args.source) else _model(args.source)
    print(json.dumps(found["json"], indent=2) if args.json else found["text"])


def _packed(path: Path) -> dict[str, Any]:
    from bnn_train.packed import container
    from bnn_train.packed.summary import step_table, total

    header, tensors = container.read(path)
    rows, size, images = step_table(header, tensors), path.stat().st_size, header.images
    everything, real = total(rows), sum(row.bytes_real for row in rows)
    told = _told(header.method, header.model, (images.channels, images.height, images.width), header.classes)
    return {
        "text": "\n".join([f"{_title(told)}, packed", "", *_steps(rows, everything, size, real)]),
        "json": {
            **told,
            "file_bytes": size,
            "layers": [row.to_json() for row in rows],
            "total": {**everything.to_json(), "bytes_real": real},
            "ratio": real / size,
        },
    }


def _steps(rows: Sequence[StepRow], everything: StepRow, size: int, real: int) -> list[str]:
    head = ("layer", "step", "output", "signs", "bits", "real", "other numbers", "MACs", "product", "bytes")
    return [
        *aligned(head, [_cells(row) for row in rows], LEFT, _cells(everything)),
        "",
        f"MACs        {everything.macs:,} per image: {_shares(everything)}",
        f"bytes       {size:,} of the file, {everything.bytes:,} of them tensors; {real:,} with weights of 32"
        f" bits: {real / size:.1f} times smaller",
        f"activations {everything.activations:,} bytes at most: the values that a step reads and writes",
    ]


def _cells(row: StepRow) -> tuple[str, ...]:
    products = {"binary": row.macs_binary, "mixed": row.macs_mixed, "real": row.macs_real}
    used = [name for name, count in products.items() if count]
    counts = (row.params_binary, row.bits if row.params_binary else 0, row.params_real, row.numbers, row.macs)
    return (
        row.name,
        row.kind,
        "×".join(map(str, row.output)),
        *(f"{count:,}" if count else "" for count in counts),
        used[0] if len(used) == 1 else "",
        f"{row.bytes:,}",
    )


def _shares(row: StepRow) -> str:
    return ", ".join(
        f"{100 * count / (row.macs or 1):.2f} % {name}"
        for name, count in (("binary", row.macs_binary), ("mixed", row.macs_mixed), ("real", row.macs_real))
    )


def _model(path: Path) -> dict[str, Any]:
    from dataclasses import asdict

    from bnn_train.inspect.layers import format_layers, layer_table, total

    model, experiment, shape, classes = _from_checkpoint(path) if _is_checkpoint(path) else _from_config(path)
    rows = layer_table(model, shape)
    everything = total(rows)
    told = _told(experiment.method.name, experiment.model.name, shape, classes)
    return {
        "text": f"{_title(told)}\n\n{format_layers(rows)}",
        "json": {
            **told,
            "layers": [asdict(row) for row in rows],
            "total": asdict(everything),
            "ratio": everything.bytes_real / everything.bytes if everything.bytes else 1.0,
        },
    }


def _is_checkpoint(path: Path) -> bool:
    return path.exists() and path.suffix.lower() not in (".yaml", ".yml")


def _from_checkpoint(path: Path) -> tuple[Any, Any, tuple[int, ...], Sequence[str]]:
    import torch

    from bnn_train.training.restore import model_of, open_checkpoint

    checkpoint, experiment = open_checkpoint(find_own(path))
    state = checkpoint.state
    return model_of(checkpoint, torch.device("cpu")), experiment, tuple(state["shape"]), state["classes"]


def _from_config(path: Path) -> tuple[Any, Any, tuple[int, ...], Sequence[str]]:
    from bnn_train.config.loader import load
    from bnn_train.config.shipped import resolved

    experiment = load(resolved(path))
    import torch

    from bnn_train.cli.dry_run import opened_folder
    from bnn_train.models.build import build
    from bnn_train.spec.inputs import input_shape, is_folder, num_classes

    data = opened_folder(experiment.data, experiment.seed) if is_folder(experiment.data) else None
    names = [str(i) for i in range(num_classes(experiment.data))] if data is None else list(data.classes)
    shape = input_shape(experiment.data)
    with torch.device("meta"):
        model = build(experiment.model, experiment.method, shape, len(names))
    return model, experiment, shape, names


def _told(method: str, model: str, shape: Sequence[int], classes: Sequence[str]) -> dict[str, Any]:
    return {"method": method, "model": model, "input": list(shape), "classes": len(classes)}


def _title(told: dict[str, Any]) -> str:
    size = "×".join(map(str, told["input"]))
    return f"{told['method']} {told['model']}, input {size}, {told['classes']:,} classes"


if __name__ == "__main__":
    sys.exit(main())
