"""The layer factory: which roles are binary, how a chain is ordered, what the norms are."""

from typing import Any

import pytest
from torch import nn

from bnn_train.binary.factory import ChainLayer, Layers
from bnn_train.binary.layers import binary_layers
from bnn_train.spec.method import BlockSpec, Method, NormSpec, Role
from bnn_train.spec.methods import METHODS

SCOPES = {  # role → which layers are binary, from the papers
    "fp": set(),
    "bc": {"first", "body", "downsample", "last"},
    "bc_stochastic": {"first", "body", "downsample", "last"},
    "bnn": {"first", "body", "downsample", "last"},
    "bnn_stochastic": {"first", "body", "downsample", "last"},
    "bwn": {"body", "downsample"},
    "xnor": {"body", "downsample"},
    "xnor_k": {"body", "downsample"},
    "twn": {"first", "body", "downsample", "last"},
    "dorefa": {"body"},
    "bireal": {"body"},
    "bop": {"first", "body", "downsample", "last"},
}


@pytest.mark.parametrize("name", sorted(SCOPES))
def test_scope(name: str) -> None:
    roles: tuple[Role, ...] = ("first", "body", "downsample", "last")
    made = {
        role for role in roles if any(binary_layers(nn.Sequential(Layers(METHODS[name]).conv(role, 2, 2, 1))))
    }
    assert made == SCOPES[name]


def members() -> list[ChainLayer]:
    return [
        ChainLayer(role="first", kind="conv", inputs=1, outputs=4, kernel=3, pool=nn.MaxPool2d(2)),
        ChainLayer(role="body", kind="conv", inputs=4, outputs=4, kernel=3, pool=nn.MaxPool2d(2)),
        ChainLayer(role="last", kind="linear", inputs=16, outputs=3),
    ]


ORDERS = {
    ("bc", "conv-pool-bn-act"): "conv pool norm relu conv pool norm relu flatten linear norm",
    ("bnn", "conv-pool-bn-act"): "conv pool norm conv pool norm flatten linear norm",
    ("bwn", "conv-bn-act-pool"): "conv norm relu pool conv norm relu pool flatten linear",
    ("xnor", "bn-act-conv-pool"): "conv norm relu pool norm conv pool norm relu flatten linear",
}


@pytest.mark.parametrize(("name", "order"), sorted(ORDERS))
def test_block_order(name: str, order: str) -> None:
    kinds = {
        nn.Conv2d: "conv",
        nn.Linear: "linear",
        nn.MaxPool2d: "pool",
        nn.BatchNorm2d: "norm",
        nn.BatchNorm1d: "norm",
        nn.ReLU: "relu",
        nn.Flatten: "flatten",
    }
    assert METHODS[name].block.order == order
    chain = Layers(METHODS[name]).chain(members())
    told = [next(kind for cls, kind in kinds.items() if isinstance(m, cls)) for m in chain]
    assert " ".join(told) == ORDERS[name, order]


def test_a_norm_on_the_output_beside_those_before_the_layers() -> None:
    block = METHODS["xnor"].block.model_copy(update={"output_norm": True})
    chain = Layers(METHODS["xnor"].model_copy(update={"block": block})).chain(members())
    norms = [m.num_features for m in chain if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert norms == [4, 4, 4, 3]


def test_order_is_a_config_line() -> None:
    method = METHODS["xnor"].model_copy(update={"block": BlockSpec(order="conv-bn-act-pool")})
    assert [type(m).__name__ for m in Layers(method).chain(members())][:2] == ["Conv2d", "BatchNorm2d"]


def test_a_relu_behind_the_products_that_follow_a_norm() -> None:
    """XNOR-Net-PyTorch: BN, sign, product, ReLU, pooling; the last product stays bare."""
    block = METHODS["xnor"].block.model_copy(update={"product_relu": True})
    chain = Layers(METHODS["xnor"].model_copy(update={"block": block})).chain(members())
    names = [name for name, _ in chain.named_children()]
    assert names[names.index("conv2") :][:3] == ["conv2", "relu2", "pool2"]
    assert [name for name in names if name.startswith("relu")] == ["relu2"]
    assert names[-1] == "linear3"


@pytest.mark.parametrize(
    ("before_last", "names"),
    [
        ("norm_relu", ["norm3", "act3", "flatten", "linear3"]),
        ("norm", ["norm3", "flatten", "linear3"]),
        ("none", ["flatten", "linear3"]),
    ],
)
def test_what_stands_before_a_real_last_layer(before_last: str, names: list[str]) -> None:
    block = METHODS["xnor"].block.model_copy(update={"before_last": before_last})
    chain = Layers(METHODS["xnor"].model_copy(update={"block": block})).chain(members())
    found = [name for name, _ in chain.named_children()]
    assert found[found.index("pool2") + 1 :] == names


def test_norm_takes_its_numbers_from_the_method() -> None:
    layers: Any = Layers(METHODS["bnn"])
    assert (layers.norm2d(3).eps, layers.norm1d(3).eps) == (1e-4, 1e-4)
    other: Any = Layers(METHODS["bnn"].model_copy(update={"norm": NormSpec(momentum=0.3)}))
    assert (other.norm2d(3).momentum, other.norm1d(3).momentum) == (0.3, 0.3)
    gamma = (
        Layers(Method.model_validate(METHODS["xnor"].model_dump() | {"norm": {"gamma": "uniform"}}))
        .norm2d(500)
        .get_parameter("weight")
        .detach()
    )
    assert 0.4 < float(gamma.mean()) < 0.6
    assert float(gamma.min()) >= 0
