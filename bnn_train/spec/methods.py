"""The methods, one row each. To add one: a row here, and at most one function for a new axis value."""

from __future__ import annotations

from bnn_train.spec.annealed import Curve
from bnn_train.spec.estimators import ApproxSign, Clip, ClipOpen, Identity, TanhEDE, Unit
from bnn_train.spec.method import (
    ActivationSpec,
    BlockSpec,
    LatentSpec,
    Method,
    NormSpec,
    ScopeSpec,
    WeightSpec,
)
from bnn_train.spec.pre import Pact, Standardize
from bnn_train.spec.quantizers import (
    LearnedSigns,
    ShiftedSigns,
    Sign,
    StochasticSign,
    Stored,
    Ternary,
    Uniform,
)
from bnn_train.spec.scales import L1, L1Masked, Pow2, XnorK

_HINGE_BLOCK = BlockSpec(order="conv-pool-bn-act", output_norm=True)
_LATENT_BOX = LatentSpec(init="uniform", clip=1.0, lr_scale="glorot")
_ENDS_REAL = ScopeSpec(real=("first", "last"))
_BC_NORM = NormSpec(eps=1e-4)
_XNOR_WEIGHT = WeightSpec(quantizer=Sign(), scale=L1(), gradient="official")
_XNOR_LATENT = LatentSpec(init="he_in", clip=1.0, center=True)

_FP = Method(name="fp", paper="the real-valued twin")

_BC = Method(
    name="bc",
    paper="Courbariaux, Bengio, David: BinaryConnect (NIPS 2015), arXiv 1511.00363",
    weight=WeightSpec(quantizer=Sign()),
    latent=_LATENT_BOX,
    block=_HINGE_BLOCK,
    norm=_BC_NORM,
)

_BNN = Method(
    name="bnn",
    paper="Courbariaux, Hubara, Soudry, El-Yaniv, Bengio: Binarized Neural Networks (2016), arXiv 1602.02830",
    weight=WeightSpec(quantizer=Sign()),
    activation=ActivationSpec(quantizer=Sign(), estimator=Clip()),
    latent=_LATENT_BOX,
    block=_HINGE_BLOCK.model_copy(update={"post_add_activation": "hardtanh"}),
    norm=_BC_NORM,
)

_BWN = Method(
    name="bwn",
    paper="Rastegari, Ordonez, Redmon, Farhadi: XNOR-Net (ECCV 2016) §3.1, arXiv 1603.05279",
    weight=_XNOR_WEIGHT,
    latent=_XNOR_LATENT,
    scope=_ENDS_REAL,
    norm=NormSpec(eps=1e-3),
)

_XNOR = Method(
    name="xnor",
    paper="Rastegari, Ordonez, Redmon, Farhadi: XNOR-Net (ECCV 2016) §3.2, arXiv 1603.05279",
    weight=_XNOR_WEIGHT,
    activation=ActivationSpec(quantizer=Sign(), estimator=ClipOpen()),
    latent=_XNOR_LATENT,
    scope=_ENDS_REAL,
    block=BlockSpec(order="bn-act-conv-pool", post_add_activation="none"),
    norm=_BC_NORM,
)

_TWN = Method(
    name="twn",
    paper="Li, Zhang, Liu: Ternary Weight Networks (2016), arXiv 1605.04711",
    weight=WeightSpec(quantizer=Ternary(), scale=L1Masked()),
)

_DOREFA = Method(
    name="dorefa",
    paper="Zhou et al.: DoReFa-Net (2016), arXiv 1606.06160; 1-bit weights, 2-bit activations",
    weight=WeightSpec(quantizer=Sign(), scale=L1(), granularity="layer"),
    activation=ActivationSpec(quantizer=Uniform(bits=2), estimator=Unit()),
    scope=ScopeSpec(real=("first", "downsample", "last")),
)

_PACT = _DOREFA.model_copy(
    update={
        "name": "pact",
        "paper": "Choi et al.: PACT (2018), arXiv 1805.06085; DoReFa-Net's 1-bit weights, 2-bit activations",
        "activation": ActivationSpec(
            pre=Pact(weight_decay=2e-4), quantizer=Uniform(bits=2), estimator=Identity()
        ),
    }
)

_BIREAL = Method(
    name="bireal",
    paper="Liu et al.: Bi-Real Net (ECCV 2018), arXiv 1808.00278",
    weight=WeightSpec(quantizer=Sign(), scale=L1(), gradient="detached", estimator=Clip()),
    activation=ActivationSpec(quantizer=Sign(), estimator=ApproxSign()),
    latent=LatentSpec(clip=1.0),
    scope=ScopeSpec(real=("first", "downsample", "last")),
    block=BlockSpec(shortcut="per_conv", downsample="avgpool_conv", post_add_activation="none"),
)

_EDE = TanhEDE(t=Curve.model_validate({"from": 1e-3, "to": 10.0, "curve": "exponential"}))
_IRNET = Method(
    name="irnet",
    paper="Qin et al.: Forward and Backward Information Retention (IR-Net, CVPR 2020), arXiv 1909.10788",
    weight=WeightSpec(pre=Standardize(), quantizer=Sign(), scale=Pow2(), gradient="detached", estimator=_EDE),
    activation=ActivationSpec(quantizer=Sign(), estimator=_EDE),
    scope=ScopeSpec(real=("first", "downsample", "last")),
    block=BlockSpec(shortcut="per_conv", post_add_activation="hardtanh"),
)

_ABCNET = Method(
    name="abcnet",
    paper="Lin, Zhao, Pan: Towards Accurate Binary CNN (ABC-Net, NIPS 2017), arXiv 1711.11294; M = N = 3",
    weight=WeightSpec(
        quantizer=ShiftedSigns(), granularity="layer", gradient="detached", estimator=Identity()
    ),
    activation=ActivationSpec(quantizer=LearnedSigns(), estimator=Unit()),
    scope=_ENDS_REAL,
    block=BlockSpec(order="conv-pool-bn-act", post_add_activation="none"),
)

_BOP = Method(
    name="bop",
    paper="Helwegen et al.: Latent Weights Do Not Exist (NeurIPS 2019), arXiv 1906.02107",
    weight=WeightSpec(quantizer=Stored()),
    activation=ActivationSpec(quantizer=Sign(), estimator=Clip()),
    latent=LatentSpec(init="sign"),
    block=_BNN.block,
    norm=_BC_NORM,
)


def _variant(row: Method, name: str, **axes: object) -> Method:
    return row.model_copy(update={"name": name, **axes})


METHODS: dict[str, Method] = {
    row.name: row
    for row in (
        _FP,
        _BC,
        _variant(
            _BC,
            "bc_stochastic",
            paper=f"{_BC.paper}; sampled weights, tested with the latent ones",
            weight=WeightSpec(quantizer=StochasticSign(), evaluate="latent"),
            norm=NormSpec(eps=1e-4, reestimate=True),
        ),
        _BNN,
        _variant(
            _BNN,
            "bnn_stochastic",
            paper=f"{_BNN.paper}; sampled activations",
            activation=ActivationSpec(quantizer=StochasticSign()),
        ),
        _BWN,
        _XNOR,
        _variant(
            _XNOR,
            "xnor_k",
            paper=f"{_XNOR.paper}, with the input scale K",
            output_scale=XnorK(),
        ),
        _TWN,
        _DOREFA,
        _PACT,
        _BIREAL,
        _IRNET,
        _ABCNET,
        _BOP,
    )
}
