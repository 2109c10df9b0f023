"""Small experiments that train in a second, for the tests of whole runs."""

from pathlib import Path
from typing import Any

from bnn_train.config.merge import merge
from bnn_train.config.schema import Experiment

TINY: dict[str, Any] = {
    "method": "bnn",
    "model": {"name": "mlp", "width": 16, "depth": 2},
    "data": {
        "name": "synthetic",
        "shape": [1, 6, 6],
        "num_classes": 4,
        "batch_size": 16,
        "train_limit": 80,
        "test_limit": 50,
        "normalize": ["signed"],
        "validation": {"size": 40},
    },
    "optimizer": {"name": "adam", "lr": 0.01},
    "loss": "square_hinge",
    "training": {"epochs": 2, "log_every": 2},
    "run": {"tensorboard": False, "threads": 1},
    "seed": 3,
}


def tiny(folder: Path, **changes: Any) -> Experiment:
    """The tiny experiment with its run in ``folder``; ``changes`` are laid over it."""
    return Experiment.model_validate(merge(merge(TINY, {"run": {"dir": str(folder)}}), changes))
