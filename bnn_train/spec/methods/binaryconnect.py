"""BinaryConnect and Binarized Neural Networks, and the real-valued twin of every method."""

from __future__ import annotations

from bnn_train.spec.estimators import Clip
from bnn_train.spec.method import ActivationSpec, BlockSpec, LatentSpec, Method, NormSpec, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published, variant
from bnn_train.spec.quantizers import Sign, StochasticSign

_BLOCK = BlockSpec(order="conv-pool-bn-act", output_norm=True)
_LATENT = LatentSpec(init="uniform", clip=1.0, lr_scale="glorot")
_NORM = NormSpec(eps=1e-4)

FP = Method(name="fp", paper="the real-valued twin")

BC = Method(
    name="bc",
    paper="Courbariaux, Bengio, David: BinaryConnect (NIPS 2015), arXiv 1511.00363",
    weight=WeightSpec(quantizer=Sign()),
    latent=_LATENT,
    block=_BLOCK,
    norm=_NORM,
)

BNN = Method(
    name="bnn",
    paper="Courbariaux, Hubara, Soudry, El-Yaniv, Bengio: Binarized Neural Networks (2016), arXiv 1602.02830",
    weight=WeightSpec(quantizer=Sign()),
    activation=ActivationSpec(quantizer=Sign(), estimator=Clip()),
    latent=_LATENT,
    block=_BLOCK.model_copy(update={"post_add_activation": "hardtanh"}),
    norm=_NORM,
)

ROWS = (
    Entry(method=FP, title="real-valued twin", year=1986),
    Entry(
        method=BC,
        title="BinaryConnect",
        year=2015,
        parent="fp",
        published=(
            Published(data="MNIST", network="MLP 3×1024", top1=98.71, bits="1/32"),
            Published(data="CIFAR-10", network="ConvNet", top1=90.10, bits="1/32"),
        ),
    ),
    Entry(
        method=variant(
            BC,
            "bc_stochastic",
            paper=f"{BC.paper}; sampled weights, tested with the latent ones",
            weight=WeightSpec(quantizer=StochasticSign(), evaluate="latent"),
            norm=NormSpec(eps=1e-4, reestimate=True),
        ),
        title="BinaryConnect, stochastic",
        year=2015,
        parent="bc",
        published=(
            Published(data="MNIST", network="MLP 3×1024", top1=98.82, bits="1/32"),
            Published(data="CIFAR-10", network="ConvNet", top1=91.73, bits="1/32"),
        ),
    ),
    Entry(
        method=BNN,
        title="Binarized Neural Networks",
        year=2016,
        parent="bc",
        published=(
            Published(data="MNIST", network="MLP 3×4096", top1=99.04),
            Published(data="CIFAR-10", network="ConvNet", top1=88.6),
            Published(data="ImageNet", network="ResNet-18", top1=42.2, source="FDA-BNN"),
        ),
    ),
    Entry(
        method=variant(
            BNN,
            "bnn_stochastic",
            paper=f"{BNN.paper}; sampled activations",
            activation=ActivationSpec(quantizer=StochasticSign()),
        ),
        title="Binarized Neural Networks, stochastic",
        year=2016,
        parent="bnn",
        published=(Published(data="CIFAR-10", network="ConvNet", top1=89.85),),
    ),
)
