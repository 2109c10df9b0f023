"""ONNX Runtime answers as the packed reference, bit for bit: every kind of step, every method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bnn_train.errors import DataError, ExportError
from bnn_train.export.targets.graph.graph import Graph
from bnn_train.export.targets.onnx_model import TARGET, OnnxOptions
from bnn_train.export.targets.table import recognised
from bnn_train.export.targets.target import Content
from bnn_train.models.resnet import PadShortcut, Residual
from bnn_train.packed.reference.fma import fma
from exported import (
    CASES,
    PREPROCESSES,
    QUICK,
    SOME,
    agreed,
    content_of,
    differing,
    ending_exactly,
    noise,
    preprocessed,
    wanted,
)
from method_rows import CHANNELS, ROWS, conv, dense, lowered, network, norm

onnx = pytest.importorskip("onnx", reason="needs the extra `onnx`")
ort = pytest.importorskip("onnxruntime", reason="needs the extra `onnx`")


def answered(content: Content, path: Path, **options: Any) -> Any:
    """A network written and run; logits and the count of those that are not the reference's."""
    TARGET.write(content, path, OnnxOptions(**options))
    assert TARGET.open is not None
    opened, images = TARGET.open(path), noise(content)
    assert opened.header == content.header
    assert opened.runtime.startswith("onnxruntime ")
    return opened.logits(images), wanted(content, images)


def test_the_quick_ones_are_there() -> None:
    assert len(SOME) >= len(QUICK)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in SOME else [pytest.mark.slow]) for n in CASES]
)
def test_every_kind_of_step(name: str, tmp_path: Path) -> None:
    found, right = answered(content_of(CASES[name]), tmp_path / "m.onnx")
    if agreed(CASES[name]):
        assert differing(found, right) == 0
    np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-6 * float(np.abs(right).max()))


def _forms() -> list[Any]:
    """Weights of both kinds for all, some by default."""
    quick = ("codes-u3-s2-pad1", "pixels-3-gain", "planes-d2-p3", "bend-sigmoid-codes", "real-int1-both")
    return [
        pytest.param(name, weights, marks=[] if name in quick else [pytest.mark.slow])
        for name in SOME
        for weights in ("int8", "float32")
    ]


@pytest.mark.parametrize(("name", "weights"), _forms())
def test_in_plain_arithmetic_last_bits_differ(name: str, weights: str, tmp_path: Path) -> None:
    content = content_of(CASES[name])
    found, right = answered(content, tmp_path / "m.onnx", weights=weights, arithmetic="float32")
    np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-5 * float(np.abs(right).max()))


FEW = ("shift", "irnet", "pact 2", "abcnet", "signs × bases, K", "bases × ternary", "reals × bases")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in FEW else [pytest.mark.slow]) for n in ROWS]
)
def test_every_method(name: str, tmp_path: Path) -> None:
    """Two convolutions in a chain, a residual block and a dense layer."""
    method = ROWS[name]
    block = nn.Sequential(conv(method, outputs=12, padding=1, stride=2), norm(12))
    body = (
        conv(method, padding=1, bias=False),
        norm(),
        Residual(block, PadShortcut(CHANNELS, 12, 2), nn.Hardtanh()),
    )
    model = network(*body, channels=12)
    found, right = answered(ending_exactly(lowered(model)), tmp_path / "m.onnx")
    if name == "reals × bases" or name.endswith(", K"):  # reals in products; K of what sums of pixels rounded
        np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-5)
    else:
        assert differing(found, right) == 0


@pytest.mark.parametrize("name", ["irnet", "pact 2", "abcnet"])
def test_dense_layers_behind_a_map(name: str, tmp_path: Path) -> None:
    method = ROWS[name]
    model = nn.Sequential(
        nn.Conv2d(3, CHANNELS, 3, padding=1), nn.MaxPool2d(2), norm(), conv(method, 2), norm(), nn.Flatten(),
        dense(method, CHANNELS * 9), nn.BatchNorm1d(16), nn.Hardtanh(), dense(method, 16, 5),
    )  # fmt: skip
    assert differing(*answered(ending_exactly(lowered(model)), tmp_path / "m.onnx")) == 0


@pytest.mark.parametrize("kind", PREPROCESSES)
def test_preprocessing(kind: str, tmp_path: Path) -> None:
    found, right = answered(preprocessed(kind), tmp_path / "m.onnx")
    assert differing(found, right) == 0 or kind == "zca"  # the order of its sums is everyone's own
    np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-4 * float(np.abs(right).max()))


def run(g: Graph, x: Any, output: str) -> Any:
    """A graph of one float32 vector."""
    from bnn_train.export.targets.graph.proto import initializers, nodes

    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    ends = [
        [helper.make_tensor_value_info(n, kind, shape)] for n, shape in (("x", x.shape), (output, x.shape))
    ]
    graph = helper.make_graph(nodes(g), "g", *ends, initializer=initializers(g))
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def test_multiplied_and_added_with_one_rounding() -> None:
    """Random numbers, and products that end in the middle of two float32 with a summand that decides."""
    from bnn_train.export.targets.graph.epilogues import fused

    draw = np.random.default_rng(0)
    a, b, c = (draw.standard_normal(200_000).astype(np.float32) for _ in range(3))
    half = 2**15
    odd = (draw.integers(2**11, 2**12, half) * 2 + 1).astype(np.float32)
    a[:half], b[:half] = (
        odd,
        np.float32(2**12 + 1) * 1,
    )  # 13 bits times 13 bits: 25 and 26, some end in a middle
    c[:half] = draw.choice([1e-20, -1e-20, 0, 2.0**-40, -(2.0**-40), 1.0], half)
    a[half : 2 * half] *= np.float32(1e-30)
    b[half : 2 * half] *= np.float32(1e-12)
    c[half : 2 * half] *= np.float32(1e-41)
    g = Graph()
    y = fused(g, "x", b, c)
    x = np.broadcast_to(a.reshape(1, -1, 1, 1), (1, len(a), 1, 1))
    found = run(g, np.ascontiguousarray(x), y).reshape(-1)
    assert differing(found, fma(a, b, c)) == 0
    twice = (a.astype(np.float64) * b + c).astype(np.float32)
    assert (twice != found).sum() > 100  # rounded to float64 first, some are wrong


def test_bits_are_bits_in_the_file(tmp_path: Path) -> None:
    """A weight of 512×512 signs takes 32 kB, 256 kB or 1 MB."""
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(216, 512), nn.BatchNorm1d(512), dense(ROWS["irnet"], 512, 512)
    )
    torch.manual_seed(0)
    content = ending_exactly(lowered(model))
    sizes = {}
    for weights in ("packed", "int8", "float32"):
        assert differing(*answered(content, tmp_path / f"{weights}.onnx", weights=weights)) == 0
        sizes[weights] = (tmp_path / f"{weights}.onnx").stat().st_size
    stored = sum(t.nbytes for t in content.tensors.values())
    assert sizes["packed"] < stored + 25_000
    assert 200_000 < sizes["int8"] - sizes["packed"] < 240_000
    assert sizes["float32"] - sizes["int8"] > 780_000


def test_other_files_are_told(tmp_path: Path) -> None:
    assert TARGET.open is not None
    path = tmp_path / "m.onnx"
    assert recognised(path) is None
    path.write_bytes(b"no protobuf")
    assert recognised(path) is TARGET
    with pytest.raises(DataError, match="ONNX Runtime does not take it"):
        TARGET.open(path)
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    ends = [[helper.make_tensor_value_info(n, kind, [1])] for n in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", *ends)
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)]), path)
    with pytest.raises(DataError, match="an ONNX file, but none of bnn-export"):
        TARGET.open(path)


def test_sums_that_float32_cannot_hold_are_refused() -> None:
    from bnn_train.export.targets.graph.products import EXACT, Window, whole
    from bnn_train.export.targets.graph.weights import Filters, StoredSigns

    made = CASES["pixels-3-int3-0"]
    step = next(s for s in made.program.steps if s.op == "conv" and s.layer == "conv")
    filters = Filters(step.weight, made.tensors, step.geometry, 3, StoredSigns())
    with pytest.raises(ExportError, match="conv: its sums of 27 numbers leave what float32 convolutions add"):
        whole(Graph(), "x", Window(step, made.program.values[0]), filters, EXACT)
