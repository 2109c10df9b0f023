"""A plug-in of bnn_train. Nothing here imports torch, so that a typo is still answered at once."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from bnn_train import register_dataset, register_method, register_network, register_quantizer
from bnn_train.spec.datasets import Dataset
from bnn_train.spec.estimators import Clip
from bnn_train.spec.method import ActivationSpec
from bnn_train.spec.methods import METHODS
from bnn_train.spec.methods.entry import variant
from bnn_train.spec.network_options import Options
from bnn_train.spec.quantizer import Quantizer


class Thirds(Quantizer):
    """−1 below −⅓, +1 from ⅓ on, else 0."""

    name: Literal["thirds"] = "thirds"
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True


class TwoConvs(Options):
    """Two convolutions and a dense layer, for small images."""

    name: Literal["two_convs"]
    width: Annotated[int, Field(ge=1)] = 16
    """Channels."""


STRIPES = Dataset(
    name="stripes",
    title="stripes that lie or stand",
    shape=(1, 8, 8),
    classes=("lying", "standing"),
    num_classes=2,
    train=400,
    test=100,
    validation=50,
    mean=(0.5,),
    std=(0.3,),
)


def register() -> None:
    """The entry point."""
    register_quantizer(Thirds, "bnn_example.layers:Thirds", inputs=True)
    register_method(
        variant(
            METHODS["bnn"],
            "thirds",
            paper="an example: BNN with activations −1, 0 and 1",
            activation=ActivationSpec.model_validate({"quantizer": Thirds(), "estimator": Clip()}),
        ),
        title="Thirds",
        year=2026,
        parent="bnn",
    )
    register_network(TwoConvs, "bnn_example.layers:two_convs")
    register_dataset(STRIPES, "bnn_example.layers:stripes")
