"""Self-Binarizing Networks."""

from __future__ import annotations

from bnn_train.spec.annealed import Curve
from bnn_train.spec.estimators import Identity
from bnn_train.spec.method import ActivationSpec, LatentSpec, Method, WeightSpec
from bnn_train.spec.methods.binaryconnect import BNN
from bnn_train.spec.methods.entry import Entry
from bnn_train.spec.pre import Tanh
from bnn_train.spec.quantizers import LateSign

SHARPENED = Tanh(nu=Curve.model_validate({"from": 1.0, "to": 1000.0, "curve": "exponential"}))
SELF_BINARIZING = Method(
    name="self_binarizing",
    paper="Lahoud et al.: Self-Binarizing Networks (2019), arXiv 1902.00730",
    weight=WeightSpec(pre=SHARPENED, quantizer=LateSign(), gradient="detached", estimator=Identity()),
    activation=ActivationSpec(pre=SHARPENED, quantizer=LateSign(), estimator=Identity()),
    latent=LatentSpec(init="uniform", lr_scale="glorot"),
    block=BNN.block,
    norm=BNN.norm,
)

ROWS = (
    Entry(
        method=SELF_BINARIZING,
        title="Self-Binarizing Networks",
        year=2019,
        parent="bnn",
        note="The schedule of ν is that of a re-implementation; the order of layers and the beginning are"
        " BNN's, which is our choice.",
    ),
)
