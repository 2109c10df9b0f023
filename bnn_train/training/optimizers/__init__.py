"""The optimizers of a run: one file for torch's, one for each of our own, and their assembly."""

from bnn_train.training.optimizers.assembly import Optimizers

__all__ = ["Optimizers"]
