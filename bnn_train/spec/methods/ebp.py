"""Expectation Backpropagation: binary weights by their log odds, without a learning rate."""

from __future__ import annotations

from bnn_train.spec.estimators import Identity
from bnn_train.spec.method import ActivationSpec, LatentSpec, Method, NormSpec, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published
from bnn_train.spec.quantizers import ExpectedSign
from bnn_train.spec.scales import ExpectedDeviation

EBP = Method(
    name="ebp",
    paper="Soudry, Hubara, Meir: Expectation Backpropagation (NIPS 2014)",
    weight=WeightSpec(quantizer=ExpectedSign(curve="tanh")),
    activation=ActivationSpec(quantizer=ExpectedSign(curve="normal"), estimator=Identity()),
    output_scale=ExpectedDeviation(),
    latent=LatentSpec(init="uniform"),
    norm=NormSpec(kind="none"),
)

ROWS = (
    Entry(
        method=EBP,
        title="Expectation Backpropagation",
        year=2014,
        parent="fp",
        published=(
            Published(data="MNIST", network="MLP", top1=97.88, source="Cheng et al., arXiv 1503.03562"),
        ),
        optimizer="ebp",
        start="digits/ebp.yaml",
        note="Dense networks alone, trained by optimizer: ebp and loss: probit. Evaluations and files have"
        " the likelier sign of every weight and sign neurons (EBP-D); the average over the posterior (EBP-P)"
        " is what training computes, and no network of bits. Each class has an output neuron. Half the log"
        " odds start at U(−1, 1): the authors' variance is of the order of 1/fan-in, which leaves many"
        " weights undecided, so that their signs alone are worse.",
    ),
)
