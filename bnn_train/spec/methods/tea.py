"""Esser 2015: connections and spikes with probabilities, sampled for TrueNorth."""

from __future__ import annotations

from bnn_train.spec.estimators import Identity
from bnn_train.spec.method import ActivationSpec, BlockSpec, LatentSpec, Method, NormSpec, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published
from bnn_train.spec.quantizers import Sampled, Spike
from bnn_train.spec.scales import Deviation

TEA = Method(
    name="tea",
    paper="Esser, Appuswamy, Merolla, Arthur, Modha: Backpropagation for Energy-Efficient Neuromorphic"
    " Computing (NIPS 2015)",
    weight=WeightSpec(quantizer=Sampled()),
    activation=ActivationSpec(quantizer=Spike(), estimator=Identity()),
    output_scale=Deviation(),
    latent=LatentSpec(init="connections"),
    norm=NormSpec(kind="none", reestimate=True),
    block=BlockSpec(output_norm=True),
)

ROWS = (
    Entry(
        method=TEA,
        title="Sampled connections (TEA)",
        year=2015,
        parent="bc_stochastic",
        published=(
            Published(data="MNIST", network="TrueNorth, 1 net", top1=92.7, bits="T/1"),
            Published(data="MNIST", network="TrueNorth, 64 nets", top1=99.42, bits="T/1"),
        ),
        start="digits/tea.yaml",
        note="Layers are dense and not cut into cores of 256 inputs; logits are sums, normalized by what the"
        " sample itself gives on training images, and no counts of spikes; the first layer multiplies the"
        " image and draws no spikes from it.",
    ),
)
