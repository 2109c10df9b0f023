"""The table of methods tells the layers that a method builds, not the options alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bnn_train.binary.layers import BinaryConv2d
from bnn_train.binary.quantizers import Quantizer
from bnn_train.errors import BnnError
from bnn_train.inspect.method_card import bits, packs, planes
from bnn_train.spec.methods import METHODS

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


@pytest.mark.parametrize("side", ["weight", "activation"])
@pytest.mark.parametrize("method", sorted(METHODS))
def test_bits_and_planes(method: str, side: str) -> None:
    try:
        layer = BinaryConv2d(8, 4, 3, bias=False, method=method, role="body")
    except BnnError as error:
        pytest.skip(str(error))
    part = layer.weight_quantizer if side == "weight" else layer.input_quantizer
    spec = getattr(METHODS[method], side)
    if part is None:
        assert bits(spec) == "32"
        return
    built: Quantizer = part.quantizer
    assert (bits(spec), planes(spec)) == (built.bits, "" if built.refusal else built.planes_told)
    assert part.bases == built.bases


@pytest.mark.parametrize(
    "path", sorted((CONFIGS / "cifar10").glob("board_packed_*.json")), ids=lambda p: p.stem
)
def test_what_packs_is_what_the_exporter_took(path: Path) -> None:
    """``scripts/bench_methods.py`` exported the network of each row, or kept the exporter's refusal."""
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    refused = {name for name, row in rows.items() if name in METHODS and "refused" in row}
    assert refused == {name for name in rows if name in METHODS and packs(METHODS[name]) == "–"} - {"fp"}
    assert "xnorpp" in refused  # it packs with factors of channels alone
