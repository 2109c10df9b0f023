"""Replicated SGD: BNN's axes, another optimizer."""

from __future__ import annotations

from typing import Any

from rows.first import BNN

CHANGES: dict[str, dict[str, Any]] = {"rsgd": BNN}
