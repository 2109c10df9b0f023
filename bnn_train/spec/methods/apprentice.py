"""Students of a real-valued network: Apprentice and the distilled binary network (DBNN)."""

from __future__ import annotations

from bnn_train.spec.estimators import Clip, Unit
from bnn_train.spec.method import ActivationSpec, BlockSpec, LatentSpec, Method, ScopeSpec, WeightSpec
from bnn_train.spec.methods.entry import Entry
from bnn_train.spec.methods.twn import TWN
from bnn_train.spec.quantizers import Sign, Uniform

APPRENTICE = Method(
    name="apprentice",
    paper="Mishra, Marr: Apprentice (ICLR 2018), arXiv 1711.05852; ternary weights, 8-bit activations",
    weight=TWN.weight,
    activation=ActivationSpec(quantizer=Uniform(bits=8), estimator=Unit()),
    scope=ScopeSpec(real=("first", "last")),
)

DBNN = Method(
    name="dbnn",
    paper="Chen, Zhou, Wang, Wang, Yang, He: Distilled Binary Neural Network (IJCNN 2018), doi"
    " 10.1109/IJCNN.2018.8489456",
    weight=WeightSpec(quantizer=Sign()),
    activation=ActivationSpec(quantizer=Sign(), estimator=Clip()),
    latent=LatentSpec(init="uniform", clip=1.0),
    block=BlockSpec(post_add_activation="hardtanh"),
    scope=ScopeSpec(real=("first", "last")),
)

ROWS = (
    Entry(
        method=APPRENTICE,
        title="Apprentice",
        year=2017,
        parent="twn",
        start="digits/apprentice.yaml",
        note="α, β and γ are 1, ½ and ½ with a softmax of temperature 1, which is our reading.",
    ),
    Entry(
        method=DBNN,
        title="Distilled Binary Neural Network",
        year=2018,
        parent="bnn",
        start="digits/dbnn.yaml",
        note="The paper separates speech; no code is known, and its form for images is our reading.",
    ),
)
