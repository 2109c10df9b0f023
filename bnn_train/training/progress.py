"""Where a run stands, apart from its tensors: what a checkpoint keeps in JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


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
    history: list[dict[str, Any]] = field(default_factory=list)
    """One entry an epoch."""

    def to_json(self) -> dict[str, Any]:
        """For a checkpoint; −inf becomes null."""
        state = asdict(self)
        state["best_score"] = None if self.best_score == float("-inf") else self.best_score
        return state

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> Progress:
        """The inverse of ``to_json``."""
        values = dict(state)
        values["meter"] = Meter(**values["meter"])
        if values["best_score"] is None:
            values["best_score"] = float("-inf")
        return cls(**values)
