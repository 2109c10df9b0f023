"""Errors of a packed file and of the machine that shall run it."""

from __future__ import annotations

from bnn_train.errors import BnnError


class PackedFileError(BnnError):
    """A packed file that is missing, damaged, foreign, or breaks a rule of the format."""


class KernelError(BnnError):
    """An instruction set that does not exist or cannot run here."""


class NativeUnavailable(KernelError):
    """The native library is missing, or this CPU or build lacks an instruction set; the message says
    which."""
