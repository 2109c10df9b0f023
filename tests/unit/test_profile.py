"""The profile of a packed file: its rows, what bounds them, and what it refuses. No time is asserted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bnn_train.cli import eval as bnn_eval
from bnn_train.cli.eval_profile import table
from bnn_train.errors import BnnError
from bnn_train.packed import PackedModel, container, native, profile
from bnn_train.packed.ideal_layers import Rates
from bnn_train.packed.profile import StepTime
from bnn_train.packed.program import Geometry
from packed_grid import grid
from packed_programs import header_of, single_conv

needs_kernels = pytest.mark.skipif(not native.available(), reason="the kernels are not built")
ZOO = Path(__file__).parents[2] / "configs/zoo"
KINDS = {
    "pixels-3-int1-0": "byte products",
    "pixels-3-int3-0": "real products",
    "channels-64": "sign products",
    "real-f32-both": "real products",
    "real-int1-both": "byte products",
}


@needs_kernels
@pytest.mark.parametrize("name", KINDS)
def test_what_bounds_a_layer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = dict(grid())[name]
    # a memory without end, so that products are the limit
    monkeypatch.setattr(profile, "_read", lambda size: 1e30)
    model = PackedModel.from_parts(header_of(made), made.tensors)
    rows = {row.name: row for row in profile.profile(model, profile.noise(model, 2), 2)}
    assert rows["conv"].limited_by == KINDS[name]
    assert sum(row.share for row in rows.values()) == pytest.approx(1)
    assert all(row.limit > 0 for row in rows.values())


@needs_kernels
def test_products_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stride of 2 halves both sides; two digits and groups of channels are no more products."""
    window = Geometry(kernel=(3, 3), stride=(2, 2), padding=(1, 1), groups=2)
    made = single_conv(
        source="u8", channels=4, outputs=6, size=(8, 6), weight="int2", geometry=window, parts=""
    )
    monkeypatch.setattr(profile, "measured", lambda isa: Rates(1.0, 1.0, 1.0))
    monkeypatch.setattr(profile, "_read", lambda size: 1e30)
    model = PackedModel.from_parts(header_of(made), made.tensors)
    rows = profile.profile(model, profile.noise(model, 3), 1)
    assert rows[0].limit == 3 * (4 * 3) * 6 * (9 * 4 // 2)


def test_a_step_that_runs_with_another() -> None:
    def row(name: str, seconds: float) -> StepTime:
        return StepTime(name=name, kind="conv", output=(8, 4, 2), seconds=seconds, share=seconds / 4e-6,
                        limited_by="byte products", limit=1e-6)  # fmt: skip

    lines = table([row("first", 4e-6), row("second", 0.0)])
    assert lines[2].split() == [
        "first",
        "conv",
        "8×4×2",
        "4.0",
        "100.0",
        "%",
        "byte",
        "products",
        "1.0",
        "25.0",
        "%",
    ]
    assert lines[3].split() == ["second", "conv", "8×4×2", "runs", "with", "a", "step", "above"]
    assert lines[-1].split() == ["total", "4.0", "1.0", "25.0", "%"]


@needs_kernels
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, to = ZOO / "mnist/model.bnn", tmp_path / "p.json"
    assert bnn_eval.main(["--profile", str(model), "--batch-size", "2", "--json", str(to)]) == 0
    out, err = capsys.readouterr()
    header, _ = container.read(model)
    layers = [step.layer for step in header.program.steps]
    assert [line.split()[0] for line in out.splitlines()[2:-2]] == layers
    assert "images at once: 2, of noise" in err
    found = json.loads(to.read_text())
    assert found["images"] == 2
    assert [step["name"] for step in found["steps"]] == layers


@needs_kernels
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ["--kernel", "reference"],
            "only the compiled kernels are timed step by step, not the numpy reference",
        ),
        (["--threads", "2"], "--profile times one thread; leave out --threads"),
        (["--device", "cuda"], "a packed file runs on the CPU; leave out --device cuda"),
        (["--batch-size", "1000"], "a profile takes at most 128 images at a time"),
        (["--root", "/nowhere/at/all"], "t10k-images-idx3-ubyte: no such file"),
    ],
)
def test_what_is_refused(options: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert bnn_eval.main(["--profile", str(ZOO / "mnist/model.bnn"), *options]) == 2
    assert told in capsys.readouterr().err


def test_other_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "last.safetensors"
    other.write_bytes(b"no packed file")
    for path, told in ((other, "only a packed file can be profiled"), (tmp_path / "none.bnn", "none.bnn")):
        assert bnn_eval.main(["--profile", str(path)]) == 2
        assert told in capsys.readouterr().err


def test_the_reference_is_not_timed() -> None:
    made = single_conv(channels=3)
    model = PackedModel.from_parts(header_of(made), made.tensors, isa="reference")
    with pytest.raises(BnnError, match="only the compiled kernels"):
        model.step_times(np.zeros((1, 6, 5, 3), np.uint8), 1)
