"""The losses of a run: a base of logits and labels, and terms that see more."""

from bnn_train.training.losses.base import BASES, Base, Criterion, criterion

__all__ = ["BASES", "Base", "Criterion", "criterion"]
