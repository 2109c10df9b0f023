"""Where a run stands, apart from its tensors: what a checkpoint keeps in JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bnn_train.errors import CheckpointError


@dataclass
class Meter:
    """Sums over the training images of the current epoch."""

    loss: float = 0.0
    correct: int = 0
    seen: int = 0

    def add(self, *, loss: float, correct: int, seen: int) -> None:
        """Count one batch; ``loss`` is its mean."""
        self.loss += loss * seen
        self.correct += correct
        self.seen += seen

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

    step: int = 0
    """Optimizer steps done."""
    epochs_finished: int = 0
    """Epochs whose evaluation and checkpoint are done."""
    best_epoch: int = 0
    best_score: float = float("-inf")
    seconds: float = 0.0
    """Training time so far, over all starts."""
    meter: Meter = field(default_factory=Meter)
    damaged: int = 0
    """Places in the current epoch that damaged images left to others."""
    history: list[dict[str, Any]] = field(default_factory=list)
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
            return TypeAdapter(cls).validate_python(values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise CheckpointError(f"the checkpoint's progress is damaged ({place}: {first['msg']})") from None
