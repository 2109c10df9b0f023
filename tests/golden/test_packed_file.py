"""A packed file of version 1 stays readable, packs to itself, and computes what it always did."""

from __future__ import annotations

import json

from bnn_train.packed import container, load
from packed_file import FILE, LOGITS, pixels


def test_it_packs_to_itself() -> None:
    assert container.pack(*container.read(FILE)) == FILE.read_bytes()


def test_its_logits() -> None:
    """Whole-number products and single roundings only: equal on every machine."""
    wanted = json.loads(LOGITS.read_text(encoding="utf-8"))
    assert load(FILE, kernel="reference")(pixels()).tolist() == wanted
