"""The qonnx package answers as the packed reference but for last bits, and infers the types that FINN has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnn_train.errors import DataError
from bnn_train.export.targets.onnx_model import TARGET as ONNX
from bnn_train.export.targets.onnx_model import OnnxOptions
from bnn_train.export.targets.qonnx_model import TARGET, QonnxOptions
from bnn_train.export.targets.table import recognised
from exported import CASES, content_of, noise, wanted

pytest.importorskip("qonnx", reason="needs the extra `qonnx`")
pytestmark = pytest.mark.filterwarnings("ignore")
QUICK = ("residual-net", "codes-u2-ternary-pad1")
MORE = (
    "planes-whole", "channels-33", "stride-2-pad1", "groups-2-pad0", "dense-map", "to-s2",
    "classes-strided", "pixels-3-gain",
    "pixels-3-int3-0", "real-int1-f32", "planes-d2-p3", "planes-digits-3", "bend-sigmoid-codes", "gate-map",
    "pool-bits-flip-2-floor", "pool-average-3-2-1-ceil", "joined-17-30-5-33",
)  # fmt: skip


def model_of(path: Path) -> Any:
    """The file as the package reads it."""
    from qonnx.core.modelwrapper import ModelWrapper

    return ModelWrapper(str(path))


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(n, marks=pytest.mark.slow) for n in MORE)])
def test_it_runs(name: str, tmp_path: Path) -> None:
    content, path = content_of(CASES[name]), tmp_path / "m.qonnx"
    TARGET.write(content, path, QonnxOptions(batch=2))
    assert recognised(path) is TARGET
    assert TARGET.open is not None
    opened, images = TARGET.open(path), noise(content)  # one image more than a batch
    assert opened.header == content.header
    right = wanted(content, images)
    found = opened.logits(images)
    assert np.abs(found - right).max() <= 1e-5 * np.abs(right).max()


def test_types_are_inferred(tmp_path: Path) -> None:
    """Signs and weights are BIPOLAR, their products INT32, the pixels UINT8."""
    content, path = content_of(CASES["residual-net"]), tmp_path / "m.onnx"
    told = TARGET.write(content, path, QonnxOptions())
    assert "BIPOLAR" in told[0]
    model = model_of(path)
    convolutions = model.get_nodes_by_op_type("Conv")
    assert len(convolutions) == 2
    for node in convolutions:
        kinds = [model.get_tensor_datatype(name).name for name in (*node.input, *node.output)]
        assert kinds == ["BIPOLAR", "BIPOLAR", "INT32"]
        assert set(model.get_initializer(model.find_producer(node.input[1]).input[0]).flat) == {-1.0, 1.0}
    assert model.get_tensor_datatype(model.graph.node[0].output[0]).name == "UINT8"
    assert all(model.get_tensor_shape(name) is not None for node in model.graph.node for name in node.output)


def test_it_is_told_from_onnx(tmp_path: Path) -> None:
    content, path = content_of(CASES["to-sign"]), tmp_path / "m.onnx"
    ONNX.write(content, path, OnnxOptions())
    assert recognised(path) is ONNX
    TARGET.write(content, path, QonnxOptions())
    assert recognised(path) is TARGET
    bare = model_of(path)
    del bare.model.metadata_props[:]
    bare.save(str(path))
    assert TARGET.open is not None
    with pytest.raises(DataError, match="a QONNX file, but none of bnn-export"):
        TARGET.open(path)
