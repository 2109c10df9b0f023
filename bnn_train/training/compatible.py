"""What a checkpoint may be continued or evaluated with."""

from __future__ import annotations

from typing import Any, Literal

from bnn_train.config.schema import Drawn, Experiment
from bnn_train.data.open import DataBundle
from bnn_train.errors import CheckpointError, RunError
from bnn_train.training.checkpoint import Checkpoint

# What may differ between a run and its continuation: nothing that changes the steps already done.
FREE_KEYS = (
    "reference",
    "run",
    "data.root",
    "data.download",
    "data.workers",
    "data.eval_batch_size",
    "data.on_error",
    "training.epochs",
    "training.log_every",
    "training.checkpoint_every",
)


def same_classes(checkpoint: Checkpoint, data: DataBundle) -> None:
    """The classes by name and order; a renumbered folder would score nonsense."""
    stored = tuple(checkpoint.state["classes"])
    if stored == data.classes:
        return
    first = next((f"{a!r} is now {b!r}" for a, b in zip(stored, data.classes, strict=False) if a != b), "")
    raise CheckpointError(
        f"the checkpoint knows {len(stored)} classes, the data has {len(data.classes)}"
        f"{': ' + first if first else ''}; give the data set it was trained on"
    )


def continued(stored: Experiment, wanted: Experiment) -> Experiment:
    """The wanted config, if the stored run may go on under it; else RunError lists what differs.

    Its validation images stay the ones that the run has drawn."""
    kept = stored.data.validation
    wanted = with_split(wanted, by=kept.by, drawn=wanted.data.validation.drawn or kept.drawn)
    old, new = _flat(stored.model_dump(mode="json")), _flat(wanted.model_dump(mode="json"))
    changed = [
        key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key) and not _free(key)
    ]
    if changed:
        listed = "; ".join(f"{key}: {old.get(key)!r} → {new.get(key)!r}" for key in changed[:8])
        raise RunError(
            f"the config no longer is that of the run to resume ({listed});"
            " start a new run, or undo the change"
        )
    return wanted


def with_split(experiment: Experiment, *, by: Literal["name", "position"], drawn: Drawn | None) -> Experiment:
    """An experiment whose validation images are those that were drawn."""
    validation = experiment.data.validation.model_copy(update={"by": by, "drawn": drawn})
    section = experiment.data.model_copy(update={"validation": validation})
    return experiment.model_copy(update={"data": section})


def _free(key: str) -> bool:
    return any(key == free or key.startswith(f"{free}.") for free in FREE_KEYS)


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {prefix: value}
    return {
        k: v
        for key, inner in value.items()
        for k, v in _flat(inner, f"{prefix}.{key}" if prefix else str(key)).items()
    }
