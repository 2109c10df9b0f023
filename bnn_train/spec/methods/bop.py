"""Methods that are optimizers: Bop, weights without latent ones, and replicated SGD."""

from __future__ import annotations

from bnn_train.spec.estimators import Clip
from bnn_train.spec.method import ActivationSpec, LatentSpec, Method, WeightSpec
from bnn_train.spec.methods.binaryconnect import BNN
from bnn_train.spec.methods.entry import Entry, Published, variant
from bnn_train.spec.quantizers import Sign, Stored

BOP = Method(
    name="bop",
    paper="Helwegen et al.: Latent Weights Do Not Exist (NeurIPS 2019), arXiv 1906.02107",
    weight=WeightSpec(quantizer=Stored()),
    activation=ActivationSpec(quantizer=Sign(), estimator=Clip()),
    latent=LatentSpec(init="sign"),
    block=BNN.block,
    norm=BNN.norm,
)

ROWS = (
    Entry(
        method=BOP,
        title="Latent Weights Do Not Exist (Bop)",
        year=2019,
        parent="bnn",
        published=(
            Published(data="CIFAR-10", network="BinaryNet", top1=91.3),
            Published(data="ImageNet", network="Bi-Real Net-18", top1=56.6),
        ),
        trainer="bop",
        start="digits/bop.yaml",
    ),
    Entry(
        method=variant(
            BNN,
            "rsgd",
            paper="Baldassi et al.: Subdominant Dense Clusters (PRL 2015), arXiv 1509.05753; replicated SGD",
        ),
        title="Replicated SGD",
        year=2015,
        parent="bnn",
        trainer="rsgd",
        start="digits/rsgd.yaml",
        note="The paper is about the landscape of solutions; replicas that step in turn are our reading.",
    ),
)
