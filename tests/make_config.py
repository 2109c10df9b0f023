"""Config files that tests write into the current directory, and what loading them says."""

from __future__ import annotations

from pathlib import Path

import pytest

from bnn_train.config.loader import load
from bnn_train.errors import ConfigError

BASE = "method: bnn\nmodel: {name: mlp, width: 64}\ndata: mnist\noptimizer: {name: adam, lr: 1e-3}\n"


def write(name: str, text: str) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def mistakes(text: str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(write("c.yaml", text), overrides)
    return caught.value.problems


def mistake(text: str, *overrides: str) -> str:
    found = mistakes(text, *overrides)
    assert len(found) == 1, found
    return found[0]
