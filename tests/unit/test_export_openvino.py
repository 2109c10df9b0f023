"""OpenVINO answers as the packed reference but for last bits, and its files are as small as their weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bnn_train.errors import DataError, ExportError
from bnn_train.export.targets.openvino_ir import TARGET, OpenvinoOptions
from bnn_train.export.targets.table import recognised
from bnn_train.packed.program import Geometry
from exported import CASES, SOME, content_of, noise, wanted
from packed_programs import Made, single_conv

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


BINARY = {
    "residual-net": 2,
    "groups-2-pad0": 0,
    "channels-33": 0,
    "channels-32": 1,
    "1x3-strided": 1,
    "dense-map": 0,
    "codes-sign-u2-pad0": 0,
    **{f"{name}, pad {pad}": 1 for name in ("strided", "dilated") for pad in (-1, 0, 1)},
}
SHAPES = {
    "strided": Geometry(kernel=(3, 3), stride=(2, 2), padding=(1, 1)),
    "dilated": Geometry(kernel=(3, 3), padding=(2, 2), dilation=(2, 2)),
    "1x3-strided": Geometry(kernel=(1, 3), stride=(1, 2), padding=(0, 1)),
}


def binary_case(name: str) -> Made:
    """A program of the grid, or a convolution of 40 channels to 12."""
    if name in CASES:
        return CASES[name]
    shape, _, pad = name.partition(", pad ")
    return single_conv(geometry=SHAPES[shape], pad=int(pad or 0), channels=40, outputs=12, size=(9, 8))


QUICK_ONES = ("residual-net", "channels-33")


@pytest.mark.parametrize(
    "name", [n if n in QUICK_ONES else pytest.param(n, marks=pytest.mark.slow) for n in BINARY]
)
def test_binary_convolutions_where_they_apply(name: str, tmp_path: Path) -> None:
    content, path = content_of(binary_case(name)), tmp_path / "m.xml"
    TARGET.write(content, path, OpenvinoOptions(binary=True, batch=2))
    assert path.read_text().count('type="BinaryConvolution"') == BINARY[name]
    assert TARGET.open is not None
    images = noise(content)  # one more than a batch
    right = wanted(content, images)
    assert np.abs(TARGET.open(path).logits(images) - right).max() <= 1e-5 * np.abs(right).max()


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
