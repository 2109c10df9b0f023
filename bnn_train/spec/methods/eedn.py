"""Eedn: convolutional networks for TrueNorth."""

from __future__ import annotations

from bnn_train.spec.estimators import Triangle
from bnn_train.spec.method import ActivationSpec, BlockSpec, LatentSpec, Method, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published
from bnn_train.spec.quantizers import Heaviside, Hysteresis

EEDN = Method(
    name="eedn",
    paper="Esser et al.: Convolutional Networks for Fast, Energy-Efficient Neuromorphic Computing"
    " (PNAS 2016), arXiv 1603.08270",
    weight=WeightSpec(quantizer=Hysteresis()),
    activation=ActivationSpec(quantizer=Heaviside(), estimator=Triangle()),
    latent=LatentSpec(init="uniform", clip=1.0, lr_scale="glorot"),
    block=BlockSpec(order="conv-bn-act-pool", post_add_activation="none", output_norm=True),
)

ROWS = (
    Entry(
        method=EEDN,
        title="Eedn",
        year=2016,
        parent="twn",
        published=(
            Published(data="CIFAR-10", network="Eedn", top1=89.3, bits="T/1", source="recalled, not read"),
        ),
        start="digits/eedn.yaml",
        note="The groups of filters that fit a chip are left out; every layer is ternary, the penalty on"
        " spikes is a term of the loss.",
    ),
)
