"""Processes that a launcher started together, as their environment tells: torchrun, and all that set the same
variables."""

from __future__ import annotations

import os


def launched() -> bool:
    """Whether this process is one of several."""
    return os.environ.get("WORLD_SIZE", "1") != "1" and "RANK" in os.environ


def speaks() -> bool:
    """Whether this process is alone, or the first: the one that tells what is the same for all."""
    return not launched() or os.environ["RANK"] == "0"


def deputises() -> bool:
    """Whether this process is the second, which tells that another is lost: it may be the first."""
    return launched() and os.environ["RANK"] == "1"
