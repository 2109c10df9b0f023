"""Bitwise Neural Networks."""

from __future__ import annotations

from bnn_train.spec.estimators import Identity
from bnn_train.spec.method import ActivationSpec, LatentSpec, Method, WeightSpec
from bnn_train.spec.methods.binaryconnect import BNN
from bnn_train.spec.methods.entry import Entry, Published
from bnn_train.spec.quantizers import Sign

BITWISE = Method(
    name="bitwise",
    paper="Kim, Smaragdis: Bitwise Neural Networks (2016), arXiv 1601.06071",
    weight=WeightSpec(quantizer=Sign()),
    activation=ActivationSpec(quantizer=Sign(), estimator=Identity()),
    latent=LatentSpec(init="uniform", lr_scale="glorot"),
    block=BNN.block,
    norm=BNN.norm,
)

ROWS = (
    Entry(
        method=BITWISE,
        title="Bitwise Neural Networks",
        year=2016,
        parent="bnn",
        published=(Published(data="MNIST", network="MLP", top1=98.67, source="recalled, not read"),),
        start="digits/bitwise_tanh.yaml",
        note="The row is the second stage; the first is a config with tanh(w) and tanh(x). Batch norms stand"
        " for the paper's binary biases.",
    ),
)
