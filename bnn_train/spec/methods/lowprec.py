"""Training with low-precision multiplications."""

from __future__ import annotations

from bnn_train.spec.estimators import FixedPointGradient
from bnn_train.spec.method import ActivationSpec, Method, WeightSpec
from bnn_train.spec.methods.entry import Entry
from bnn_train.spec.quantizers import FixedPoint

LOWPREC = Method(
    name="lowprec",
    paper="Courbariaux, Bengio, David: Training Deep Neural Networks with Low Precision Multiplications"
    " (2014), arXiv 1412.7024; 10-bit propagations, 12-bit updates",
    weight=WeightSpec(quantizer=FixedPoint(), gradient="detached", estimator=FixedPointGradient()),
    activation=ActivationSpec(quantizer=FixedPoint(), estimator=FixedPointGradient()),
)

ROWS = (
    Entry(
        method=LOWPREC,
        title="Low-precision multiplications",
        year=2014,
        parent="fp",
        note="Dynamic fixed point of weights, activations, both gradients and the stored update, each range"
        " begun by its first batch; weighted sums, their gradients, biases and momentum stay in float32, and"
        " the networks are not maxout.",
    ),
)
