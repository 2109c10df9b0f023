"""OpenVINO answers as the packed reference but for last bits, and its files are as small as their weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bnn_train.errors import DataError, ExportError
from bnn_train.export.targets.openvino_ir import TARGET, OpenvinoOptions
from bnn_train.export.targets.table import recognised
from exported import CASES, SOME, content_of, noise, wanted

pytest.importorskip("openvino", reason="needs the extra `openvino`")
pytest.importorskip("onnx", reason="needs the extra `openvino`")
pytestmark = pytest.mark.filterwarnings("ignore")
QUICK = (
    "residual-net", "codes-u3-s2-pad1", "planes-d2-p3", "pixels-3-gain", "dense-70000-thresholds",
    "pool-bits-flip-3-2-1-ceil",
)  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in SOME]
)
def test_it_runs(name: str, tmp_path: Path) -> None:
    content, path = content_of(CASES[name]), tmp_path / "m.xml"
    TARGET.write(content, path, OpenvinoOptions())
    assert recognised(path) is TARGET
    assert TARGET.open is not None
    opened, images = TARGET.open(path), noise(content)
    assert opened.header == content.header
    right = wanted(content, images)
    allowed = 1e-2 if "int1" in name else 1e-5  # inputs rounded to 8 bits may be rounded the other way
    assert np.abs(opened.logits(images) - right).max() <= allowed * np.abs(right).max()


def test_weights_are_as_small_as_asked(tmp_path: Path) -> None:
    """5 outputs of 70,000 signs."""
    content, sizes = content_of(CASES["dense-70000"]), {}
    right = wanted(content, noise(content))
    for weights in ("packed", "int8", "float32"):
        path = tmp_path / f"{weights}.xml"
        TARGET.write(content, path, OpenvinoOptions.model_validate({"weights": weights}))
        sizes[weights] = path.with_suffix(".bin").stat().st_size
        assert TARGET.open is not None
        found = TARGET.open(path).logits(noise(content))
        assert np.abs(found - right).max() <= 1e-5 * np.abs(right).max()
    own = 350_000 / 8
    assert sizes["int8"] - sizes["packed"] == pytest.approx(7 * own, rel=0.01)
    assert sizes["float32"] - sizes["int8"] == pytest.approx(24 * own, rel=0.01)


def test_foreign_files(tmp_path: Path) -> None:
    assert TARGET.open is not None
    content, path = content_of(CASES["to-sign"]), tmp_path / "m.xml"
    path.with_suffix(".bin").write_bytes(b"mine")
    with pytest.raises(ExportError, match=r"m\.bin: is in the way, and no export as openvino wrote it"):
        TARGET.write(content, path, OpenvinoOptions())
    path.with_suffix(".bin").unlink()
    TARGET.write(content, path, OpenvinoOptions())
    TARGET.write(content, path, OpenvinoOptions())
    path.write_text(path.read_text().replace("<bnn_train>", "<other>").replace("</bnn_train>", "</other>"))
    with pytest.raises(DataError, match="an IR, but none of bnn-export"):
        TARGET.open(path)
    path.write_text('<?xml version="1.0"?>\n<net name="x" version="11"></broken>')
    assert recognised(path) is TARGET
    with pytest.raises(DataError, match="OpenVINO does not take it"):
        TARGET.open(path)
    path.write_text("<html>")
    assert recognised(path) is None
