"""The progress of a run apart from its tensors, which a checkpoint keeps in JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from bnn_train.errors import CheckpointError

Count = Annotated[int, Field(ge=0, lt=2**63)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Entry = dict[str, Annotated[int, Field(gt=-(2**63), lt=2**63)] | float | None]


@dataclass
class Meter:
    """Sums over the training images of the current epoch."""

    loss: Finite = 0.0
    correct: Count = 0
    seen: Count = 0

    @property
    def mean_loss(self) -> float:
        """Per image."""
        return self.loss / max(1, self.seen)

    @property
    def top1(self) -> float:
        """Percent."""
        return 100 * self.correct / max(1, self.seen)


@dataclass
class Progress:
    """The position of a run is ``step``; the rest is what it has found so far."""

    step: Count = 0
    """Optimizer steps done."""
    skipped: Count = 0
    """Attempts at a step that were repeated, since a gradient overflowed in fp16."""
    epochs_finished: Count = 0
    """Epochs whose evaluation and checkpoint are done."""
    best_epoch: Count = 0
    best_score: float = float("-inf")
    seconds: Finite = 0.0
    """Training time so far, over all starts."""
    meter: Meter = field(default_factory=Meter)
    damaged: Count = 0
    """Places in the current epoch that damaged images left to others."""
    history: list[Entry] = field(default_factory=list)
    """One entry an epoch."""

    def to_json(self) -> dict[str, Any]:
        """For a checkpoint; −inf becomes null."""
        state = asdict(self)
        state["best_score"] = None if self.best_score == float("-inf") else self.best_score
        return state

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> Progress:
        """The inverse of ``to_json``. Raises CheckpointError for anything else."""
        score = state.get("best_score")
        values = {**state, "best_score": float("-inf") if score is None else score}
        try:
            progress = TypeAdapter(cls).validate_python(values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise CheckpointError(f"the checkpoint's progress is damaged ({place}: {first['msg']})") from None
        told, done = len(progress.history), progress.epochs_finished
        if told != done or progress.best_epoch > done:
            raise CheckpointError(
                f"the checkpoint's progress is damaged ({done} epochs are done, {told} are told of, and the"
                f" best is number {progress.best_epoch})"
            )
        return progress
