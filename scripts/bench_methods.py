"""Bytes and speed of the packed ResNet-20 of every method on the board, against PyTorch.

    python scripts/bench_methods.py [--rounds 9] [--rows xnor,bnn] [--out F]

All networks take turns in one process on one thread, with one image; a time is the median of the rounds. The
weights are those that training starts from: a time does not depend on them. Rows that a packed file cannot
hold are named with the exporter's sentence. By default the file is configs/cifar10/board_packed_KERNEL.json,
of which the board's page shows each.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bench.lowered import header, packed
from bench.ours_product import kernel
from bench.record import provenance
from bench.timing import Engine, Plan, interleave, ratio
from bench.twins import normalized, pixels
from bnn_train.cli import terminal
from bnn_train.cli.common import guarded, path_argument, say
from bnn_train.config.loader import load
from bnn_train.config.schema import Experiment
from bnn_train.errors import ExportError
from bnn_train.export.options import Options
from bnn_train.files import write_atomic
from bnn_train.models.build import build
from bnn_train.packed.runtime import PackedModel
from bnn_train.spec.inputs import input_shape, num_classes
from reproduction.plans import config_path
from reproduction.tables import Row, chosen, table_of

PEER = "PyTorch, real-valued"


def network(row: Row) -> tuple[Experiment, nn.Module]:
    """The network of a row as training starts with it, its norms having seen one batch."""
    experiment = load(config_path(row), row.overrides)
    shape = input_shape(experiment.data)
    torch.manual_seed(1)
    model = build(experiment.model, experiment.method, shape, num_classes(experiment.data))
    with torch.no_grad():
        model.train()(torch.randn(32, *shape))
    return experiment, model.eval()


def engine(row: Row) -> tuple[Engine, int]:
    """The packed network as an engine, and its bytes. Raises ExportError where no file can hold it."""
    experiment, model = network(row)
    shape = input_shape(experiment.data)
    program, tensors = packed(model, (*shape[1:], shape[0]), Options())
    images = pixels(1, shape)
    ours = PackedModel.from_parts(header(experiment, program), tensors, threads=1)
    return Engine(row.name, _calling(ours, images)), sum(array.nbytes for array in tensors.values())


def _calling(model: PackedModel, images: NDArray[np.uint8]) -> Callable[[], object]:
    return lambda: model(images)


def measured(rows: Sequence[Row], rounds: int) -> dict[str, Any]:
    """Bytes, milliseconds and the ratio to PyTorch's real-valued network of every row that can be packed."""
    torch.set_num_threads(1)
    engines: list[Engine] = []
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        try:
            own, size = engine(row)
        except ExportError as error:
            found[row.name] = {"refused": str(error)}
            continue
        engines.append(own)
        found[row.name] = {"bytes": size}
    experiment, twin = network(table_of("board").rows[0])
    x = normalized(pixels(1, input_shape(experiment.data)))

    def real() -> object:
        with torch.inference_mode():
            return twin(x)

    samples = interleave([*engines, Engine(PEER, real)], Plan(rounds=rounds))
    for name, sample in samples.items():
        if name != PEER:
            faster = ratio(sample, samples[PEER])
            found[name] |= {"ms": round(1e3 * sample.median, 3), "faster": round(faster or 0.0, 2)}
    return {
        **provenance(),
        "command": f"python scripts/bench_methods.py --rounds {rounds}",
        "kernel": kernel(),
        "peer": PEER,
        "peer_ms": 1e3 * samples[PEER].median,
        "rows": found,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    terminal.prepare()
    p = argparse.ArgumentParser(prog="bench_methods.py", description=(__doc__ or "").splitlines()[0])
    p.add_argument("--rounds", type=int, default=9, metavar="N")
    p.add_argument("--rows", metavar="A,B", help="only these rows")
    p.add_argument("--out", type=path_argument, metavar="F", help="default: the kernel's, for the board")
    args = p.parse_args(argv)
    return guarded(lambda: _bench(args))


def _bench(args: argparse.Namespace) -> None:
    rows = [row for row in chosen(table_of("board"), args.rows) if not row.name.startswith("twin-of-")]
    result = measured(rows, args.rounds)
    for name, row in result["rows"].items():
        print(
            f"{name:<20}",
            row.get("refused") or f"{row['bytes']:>9,} bytes {row['ms']:>8.3f} ms {row['faster']:>6.2f}×",
        )
    out = args.out or Path(f"configs/cifar10/board_packed_{result['kernel']}.json")
    write_atomic(out, json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    say(f"written: {out}")


if __name__ == "__main__":
    sys.exit(main())
