"""Compilers and exporters see one graph of operations that they know, and it computes the same bits."""

from __future__ import annotations

import importlib.util
import io
import operator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bnn_train.binary.layers import BinaryConv2d, BinaryLinear
from bnn_train.spec.method import Method
from bnn_train.spec.methods import METHODS
from method_rows import ROWS as MIXES
from pairs import some

QUICK = ("bnn", "xnor_k", "dorefa")
"""Compiling one takes seconds."""
MIXED = {name: MIXES[name] for name in ("shift", "signs × bases", "pact × bases", "bases × ternary")}
OFTEN = {
    *QUICK,
    *MIXED,
    "abcnet",
    "adabin",
    "bc_stochastic",
    "cbcn",
    "eedn",
    "fp",
    "pact",
    "reactnet",
    "twn",
    "xnorpp",
}
"""Exported in the default run."""


def network(row: str | Method) -> nn.Module:
    """Its norms are no ties: an exporter may fold them into convolutions, whose zeros then are rounded."""
    torch.manual_seed(0)
    found = METHODS[row] if isinstance(row, str) else row
    row = found.model_copy(update={"padding": 0})  # a reflected border has no value of its own
    model = nn.Sequential(
        BinaryConv2d(3, 8, 3, padding=1, method=row, role="first"),
        nn.BatchNorm2d(8),
        BinaryConv2d(8, 8, 3, padding=1, method=row, role="body", dropout=0.1),
        nn.BatchNorm2d(8),
        BinaryConv2d(8, 8, 3, padding="same", padding_mode="reflect", method=row, role="body"),
        nn.BatchNorm2d(8),
        nn.Flatten(),
        BinaryLinear(8 * 36, 5, method=row, role="body"),
    )
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.bias, -0.4, 0.4)
    model.eval()(torch.zeros(1, 3, 6, 6))  # factors of places take the size of the first map that they see
    return model.train()


def step(model: Any, parameters: list[Tensor]) -> list[Tensor]:
    """Output and gradients."""
    torch.manual_seed(1)
    y: Tensor = model(torch.randn(2, 3, 6, 6))
    return [y.detach(), *torch.autograd.grad(y.square().sum(), parameters)]


@pytest.mark.filterwarnings("ignore")  # of the compiler's own
@pytest.mark.parametrize("row", some(sorted(METHODS), QUICK))
def test_a_training_step_is_one_graph(row: str) -> None:
    torch.compiler.reset()
    model = network(row)
    plain = step(model, list(model.parameters()))
    model = network(row)
    compiled = step(torch.compile(model, fullgraph=True, backend="aot_eager"), list(model.parameters()))
    assert all(torch.equal(one, other) for one, other in zip(plain, compiled, strict=True))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("row", some(sorted({*METHODS, *MIXED}), OFTEN))
def test_an_exported_network_needs_no_operator_of_ours(row: str) -> None:
    model, x = network(MIXED.get(row, row)).eval(), torch.randn(2, 3, 6, 6)
    program = torch.export.export(model, (x,), strict=False)
    calls = [node.target for node in program.graph.nodes if node.op == "call_function"]
    used = {str(call) for call in calls if call is not operator.getitem}  # one result of several
    assert not [name for name in used if not name.startswith("aten.")], used
    assert not [name for name in used if ".out" in name], used
    torch.testing.assert_close(program.module()(x), model(x))


def missing(*names: str) -> str:
    return ", ".join(name for name in names if importlib.util.find_spec(name) is None)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(missing("onnx") != "", reason="onnx is not installed")
@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.parametrize("row", ["fp", "bc", "bnn", "xnor_k", "dorefa", "twn", "pact"])
def test_onnx(row: str, dynamo: bool) -> None:
    if lacking := missing("onnxscript", "onnxruntime") if dynamo else missing("onnxruntime"):
        pytest.skip(f"{lacking} not installed")
    import onnxruntime

    model, x = network(row).eval(), torch.randn(2, 3, 6, 6)
    file: Any = io.BytesIO()  # accepted, though not declared
    torch.onnx.export(model, (x,), file, dynamo=dynamo)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    np.testing.assert_allclose(y, model(x).detach().numpy(), rtol=1e-4, atol=1e-4)
