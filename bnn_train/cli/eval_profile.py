"""``bnn-eval --profile``: the steps of a packed file with their times, against this machine's limits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.aligned import aligned
from bnn_train.cli.checkpoints import is_packed
from bnn_train.cli.common import say
from bnn_train.errors import BnnError
from bnn_train.files import write_atomic
from bnn_train.packed import PackedModel, load
from bnn_train.packed.profile import StepTime, noise, profile

HEAD = ("layer", "step", "output", "µs", "share", "limited by", "limit µs", "reached")
LEFT = (0, 1, 2, 5)


def run_profile(
    path: Path, *, kernel: str | None, count: int, split: str, changes: Mapping[str, Any], to: Path | None
) -> None:
    """Print the table, and write it as JSON to ``to``. ``count``: images at once; of ``split`` where the
    changes name a ``root``, else noise."""
    if not is_packed(path):
        raise BnnError(f"{path}: only a packed file can be profiled; make one with bnn-export")
    model = load(path, kernel=kernel)
    images = _images(path, model, count, split, changes) if "root" in changes else noise(model, count)
    rows = profile(model, images)
    what = f"of {split}" if "root" in changes else "of noise"
    say(f"{path}: kernel {model.kernel}, 1 thread, images at once: {len(images)}, {what}")
    print("\n".join(table(rows)))
    say(
        "limit: the step's products at the speed of the same kernel on a layer that lies in the nearest"
        " caches, or its bytes at the speed of a copy (maps) or a sum (weights); all measured just now"
    )
    if to is not None:
        steps = [row.to_json() for row in rows]
        found = {"kernel": model.kernel, "images": len(images), "steps": steps}
        write_atomic(to, json.dumps(found, indent=2) + "\n")


def table(rows: Sequence[StepTime]) -> list[str]:
    """The lines of the table, with a total."""
    seconds = sum(row.seconds for row in rows)
    limit = sum(row.limit for row in rows if row.seconds)
    end = (
        "total",
        "",
        "",
        _micro(seconds),
        "",
        "",
        _micro(limit),
        _percent(limit / seconds) if seconds else "",
    )
    return aligned(HEAD, [_cells(row) for row in rows], LEFT, end)


def _cells(row: StepTime) -> tuple[str, ...]:
    start = (row.name, row.kind, "×".join(map(str, row.output)))
    if row.reached is None:
        return (*start, "", "", "runs with a step above", "", "")
    return (
        *start,
        _micro(row.seconds),
        _percent(row.share),
        row.limited_by,
        _micro(row.limit),
        _percent(row.reached),
    )


def _micro(seconds: float) -> str:
    return f"{1e6 * seconds:,.1f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _images(
    path: Path, model: PackedModel, count: int, split: str, changes: Mapping[str, Any]
) -> NDArray[np.uint8]:
    """The first images of a split."""
    from bnn_train.cli.eval_runs import pixels_of

    some = []
    for pixels in pixels_of(path, model.header, split, changes):
        some.append(pixels)
        if sum(map(len, some)) >= count:
            break
    images = np.concatenate(some)[:count]
    if len(images) < count:
        raise BnnError(f"the {split} split has {len(images)} images; --batch-size {count} asks for more")
    return images
