"""Binary layers with every option of their parents: right, or refused where they are made.

Right: what the parent gives for the quantized weight on the quantized input.
"""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bnn_train.binary import signs_product, training_kernel
from bnn_train.binary.layers import BinaryConv2d, BinaryLinear
from bnn_train.spec.method import Method
from bnn_train.spec.methods import METHODS
from method_rows import ROWS as MIXES

ROWS = (
    "bnn", "bnn_stochastic", "xnor", "xnor_k", "dorefa", "pact", "bireal", "irnet", "abcnet",
    "bc", "bwn", "twn", "bop", "fp",
)  # fmt: skip
GEOMETRIES: dict[str, dict[str, Any]] = {
    "same": {"padding": "same"},
    "same, even kernel": {"kernel_size": 4, "padding": "same"},
    "same, uneven and dilated": {"kernel_size": (2, 5), "padding": "same", "dilation": (1, 2)},
    "same, grouped": {"kernel_size": 2, "padding": "same", "groups": 2},
    "valid": {"padding": "valid", "stride": 2},
    "reflect": {"padding": 1, "padding_mode": "reflect"},
    "reflect, same": {"kernel_size": 4, "padding": "same", "padding_mode": "reflect"},
    "replicate": {"padding": (2, 0), "padding_mode": "replicate", "stride": (2, 1)},
    "circular": {"padding": (1, 2), "padding_mode": "circular", "groups": 2},
    "one direction": {"padding": (0, 1), "dilation": 2},
    "more than the kernel": {"padding": 5},
    "1×1 padded": {"kernel_size": 1, "padding": 1},
}


@pytest.fixture(params=["packed product", "torch's product"])
def multiplier(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "torch's product":
        monkeypatch.setattr(signs_product, "kernel", lambda: None)
    elif training_kernel.kernel() is None:
        pytest.skip("the packed kernels are not built")


def with_bias(layer: Any) -> Any:
    nn.init.normal_(layer.bias)
    return layer.eval()


def expected(layer: Any, parent: Any, x: Tensor, box: Any = None) -> Tensor:
    """The parent on quantized operands; ``box``: its mean over a window, for the input scale K."""
    with torch.no_grad():
        parent.weight.copy_(layer.read_weight())
        parent.bias.zero_()
        y: Tensor = parent(layer.read_input(x))
        if box is not None:
            box.weight.fill_(1 / box.weight[0].numel())
            groups = torch.stack([part.abs().mean(dim=1) for part in x.chunk(parent.groups, dim=1)], dim=1)
            y = y * box(groups).repeat_interleave(y.shape[1] // parent.groups, dim=1)
        bias = layer.bias if isinstance(layer, nn.Linear) else layer.bias.view(-1, 1, 1)
        return y + bias


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")  # the parent's
@pytest.mark.usefixtures("multiplier")
@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("name", GEOMETRIES)
def test_convolution(name: str, row: str) -> None:
    options = {"kernel_size": 3, **GEOMETRIES[name]}
    layer = with_bias(BinaryConv2d(4, 6, method=METHODS[row], role="body", **options))
    x = torch.randn(2, 4, 9, 8, requires_grad=True)
    box = None
    if METHODS[row].output_scale.needs_signs:
        groups = options.get("groups", 1)
        box = nn.Conv2d(groups, groups, bias=False, **options)
    y = layer(x)
    torch.testing.assert_close(y, expected(layer, nn.Conv2d(4, 6, **options), x, box))
    y.square().sum().backward()
    assert x.grad is not None
    assert x.grad.shape == x.shape
    assert bool(layer.weight.grad.isfinite().all())


@pytest.mark.usefixtures("multiplier")
@pytest.mark.parametrize("row", ROWS)
def test_one_image_is_a_batch_of_one_without_its_axis(row: str) -> None:
    layer = with_bias(BinaryConv2d(4, 6, 3, padding=1, method=row, role="body"))
    x = torch.randn(4, 7, 5)
    assert torch.equal(layer(x), layer(x[None])[0])
    torch.testing.assert_close(layer.train()(x).shape, nn.Conv2d(4, 6, 3, padding=1)(x).shape)


@pytest.mark.usefixtures("multiplier")
@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("shape", [(5, 40), (40,), (2, 3, 40), (2, 3, 4, 40), (2, 1, 40)], ids=str)
def test_dense_layer_over_any_axes(shape: tuple[int, ...], row: str) -> None:
    layer = with_bias(BinaryLinear(40, 6, method=row, role="body"))
    x = torch.randn(*shape, requires_grad=True)
    y, plain = layer(x), nn.Linear(40, 6)
    want = expected(layer, plain, x)
    if METHODS[row].output_scale.needs_signs:
        want = (want - layer.bias) * x.abs().mean(dim=-1, keepdim=True) + layer.bias
    torch.testing.assert_close(y, want)
    y.square().sum().backward()
    assert x.grad is not None
    assert x.grad.shape == x.shape


@pytest.mark.usefixtures("multiplier")
@pytest.mark.parametrize("row", ["bnn", "xnor", "dorefa"])
def test_a_batch_without_images(row: str) -> None:
    assert BinaryConv2d(4, 6, 3, method=row, role="body")(torch.zeros(0, 4, 7, 5)).shape == (0, 6, 5, 3)
    assert BinaryLinear(40, 6, method=row, role="body")(torch.zeros(0, 40)).shape == (0, 6)


@pytest.mark.usefixtures("multiplier")
@pytest.mark.parametrize(
    "shape", [(2, 4, 2, 9), (2, 4, 9, 1), (2, 5, 9, 9), (4, 9), (1, 2, 4, 9, 9)], ids=str
)
def test_an_input_that_does_not_fit_is_an_error_as_in_torch(shape: tuple[int, ...]) -> None:
    x = torch.randn(*shape)
    for layer in (BinaryConv2d(4, 6, 3, method="bnn", role="body"), nn.Conv2d(4, 6, 3)):
        with pytest.raises(RuntimeError):
            layer(x)


@pytest.mark.parametrize("value", [1, -1])
def test_an_uneven_border_holds_the_methods_value(value: int) -> None:
    row = METHODS["xnor"].model_copy(update={"padding": value})
    layer = with_bias(BinaryConv2d(4, 6, 4, padding="same", method=row, role="body"))
    x = torch.randn(2, 4, 7, 7)
    signs = torch.where(x < 0, -1.0, 1.0)
    padded = nn.functional.pad(signs, (1, 2, 1, 2), value=float(value))
    want = nn.functional.conv2d(padded, layer.read_weight(), layer.bias)
    torch.testing.assert_close(layer(x), want)


@pytest.mark.parametrize("kind", [BinaryConv2d, BinaryLinear])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("row", ["bases × a learned scale", "shift", "pact 2", "abcnet", "irnet"])
def test_types_and_devices_of_the_parent(row: str, dtype: torch.dtype, kind: Any) -> None:
    sizes = (4, 6, 3) if kind is BinaryConv2d else (4, 6)
    layer = kind(*sizes, dtype=dtype, method=MIXES[row], role="body")
    assert {p.dtype for p in layer.parameters()} == {dtype}
    x = torch.randn(2, 4, 7, 7) if kind is BinaryConv2d else torch.randn(2, 4)
    assert layer(x.to(dtype)).dtype == dtype
    placed = kind(*sizes, device="meta", dtype=dtype, method=MIXES[row], role="body")
    assert {p.device.type for p in placed.parameters()} == {"meta"}
    assert placed(x.to("meta", dtype)).shape == layer(x.to(dtype)).shape


@pytest.mark.parametrize("row", sorted(METHODS))
def test_copies_and_pickles_compute_the_same(row: str) -> None:
    x = torch.randn(2, 4, 7, 7)
    layer = BinaryConv2d(4, 6, 3, padding="same", method=row, role="body").eval()
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(twin(x), layer(x))
        assert twin.method == layer.method


@pytest.mark.parametrize("kind", [BinaryConv2d, BinaryLinear])
def test_a_new_layer_holds_the_methods_latent_weights(kind: Any) -> None:
    """Without ``initialise``, which nobody would know of."""
    sizes = (40, 60, 3) if kind is BinaryConv2d else (400, 60)
    assert set(kind(*sizes, method="bop", role="body").weight.unique().tolist()) == {-1.0, 1.0}
    uniform = kind(*sizes, method="bnn", role="body").weight.detach()
    assert 0.9 < float(uniform.abs().max()) <= 1
    assert kind(*sizes, method="bnn", role="body").bias.tolist() == [0.0] * 60


def row_with(name: str, **update: Any) -> Method:
    return METHODS[name].model_copy(update=update)


REFUSED: dict[str, tuple[type[Exception], str, dict[str, Any]]] = {
    "role": (
        ValueError,
        "role must be one of first, body, downsample, last, not 'middle'",
        {"role": "middle"},
    ),
    "name": (ValueError, "method 'xnr' does not exist; did you mean 'xnor'?", {"method": "xnr"}),
    "far name": (ValueError, "method '' does not exist; there are fp, ebp, lowprec, bc", {"method": ""}),
    "no method": (TypeError, "method must be a Method or the name of one, not NoneType", {"method": None}),
    "type": (TypeError, "dtype must be a real floating-point type", {"dtype": torch.complex64}),
    "dropout": (ValueError, "dropout is a probability, from 0 to 1; not 1.5", {"dropout": 1.5}),
    "nan": (ValueError, "dropout is a probability", {"dropout": float("nan")}),
}
REFUSED_CONV: dict[str, tuple[type[Exception], str, dict[str, Any]]] = {
    "negative": (ValueError, "padding must not be negative", {"padding": -1}),
    "two borders": (
        ValueError,
        r"padding_mode 'reflect' and method.padding \+1 both say",
        {"padding": 1, "padding_mode": "reflect", "method": row_with("bnn", padding=1)},
    ),
    "codes": (
        ValueError,
        r"method.padding -1 belongs to signs",
        {"padding": 1, "method": row_with("dorefa", padding=-1)},
    ),
    "K": (
        ValueError,
        r"method.padding \+1 cannot go with output_scale xnor_k",
        {"padding": "same", "method": row_with("xnor_k", padding=1)},
    ),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("kind", [BinaryConv2d, BinaryLinear])
def test_refused_where_it_is_made(kind: Any, name: str) -> None:
    error, sentence, options = REFUSED[name]
    sizes = (4, 6, 3) if kind is BinaryConv2d else (4, 6)
    with pytest.raises(error, match=sentence):
        kind(*sizes, **{"method": "bnn", "role": "body", **options})


@pytest.mark.parametrize("name", REFUSED_CONV)
def test_refused_convolutions(name: str) -> None:
    error, sentence, options = REFUSED_CONV[name]
    with pytest.raises(error, match=sentence):
        BinaryConv2d(4, 6, 3, **{"method": "bnn", "role": "body", **options})


def test_a_dense_layer_has_no_maps_to_drop() -> None:
    with pytest.raises(ValueError, match="a dense layer has none"):
        BinaryLinear(4, 6, method="bnn", role="body", dropout=0.5, channel_dropout=True)


def test_what_is_not_quantized_takes_any_border() -> None:
    """The first layer reads the image, and a padding of 0 pixels holds nothing."""
    BinaryConv2d(4, 6, 3, padding=1, padding_mode="reflect", method=row_with("bnn", padding=1), role="first")
    BinaryConv2d(4, 6, 3, padding_mode="reflect", method=row_with("bnn", padding=1), role="body")
