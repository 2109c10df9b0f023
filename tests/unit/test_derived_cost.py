"""scripts/derived_cost.py against products counted by hand, and the configs' cost lines against it."""

from __future__ import annotations

from pathlib import Path

import pytest

import derived_cost
from bnn_train.config.loader import load

IMAGENET = Path(__file__).resolve().parents[2] / "configs" / "imagenet"
RESNET18, RESNET34 = 1_814_073_344, 3_663_761_408
"""Multiply-accumulates at 224 pixels, the dense layer's included, as torchvision's networks have them."""
RATE = 2470 * 3 * 4.09e9
"""Multiply-accumulates a second of an A100 that trains ResNet-50."""


@pytest.mark.parametrize(
    ("config", "images", "products"),
    [
        ("fp_resnet18", 58 * 1_281_167, 3 * RESNET18),
        ("reactnet_resnet18_stage1", 128 * 1_281_167, 3 * RESNET18 + RESNET34),  # and a teacher's answers
    ],
)
def test_hours_by_hand(config: str, images: int, products: int) -> None:
    assert derived_cost.hours(IMAGENET / f"{config}.yaml") == pytest.approx(
        images * products / RATE / 3600,
        rel=0.02,  # its norms' places, shortcuts and last batches differ
    )


@pytest.mark.parametrize(
    "config", ["bnn_alexnet", "xnor_resnet18", "reactnet_a_reactnet_a", "ternary_residual_resnet18"]
)
def test_configs_tell_it(config: str) -> None:
    path = IMAGENET / f"{config}.yaml"
    assert load(path).reference.cost == derived_cost.line(path)


def test_it_is_written_into_the_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, other = tmp_path / "own.yaml", tmp_path / "measured.yaml"
    text = (IMAGENET / "fp_resnet18.yaml").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("  cost: "))
    path.write_text(text.replace(line, "  cost: not measured"), encoding="utf-8")
    assert derived_cost.main([str(path), "--write"]) == 0
    assert path.read_text(encoding="utf-8") == text
    other.write_text(text.replace(line, "  cost: 3 hours on my GPU"), encoding="utf-8")
    assert derived_cost.main([str(other), "--write"]) == 2
    assert "has no line 'cost: not measured' to replace" in capsys.readouterr().err
