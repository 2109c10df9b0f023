"""Methods that solve for the quantized weights of a trained network, layer by layer, on images."""

from __future__ import annotations

from bnn_train.spec.estimators import Identity, PositiveWindow
from bnn_train.spec.method import ActivationSpec, BlockSpec, Method, NormSpec, ScopeSpec, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published
from bnn_train.spec.pre import Measured
from bnn_train.spec.quantizers import (
    CodeBook,
    OptimalTernary,
    SolvedSign,
    SparseHalfWave,
    TernaryResidual,
    Uniform,
)
from bnn_train.spec.scales import L1, L1Masked

_ENDS_REAL = ScopeSpec(real=("first", "last"))

BWNH = Method(
    name="bwnh",
    paper="Hu, Wang, Cheng: From Hashing to CNNs, Training Binary Weight Networks via Hashing (AAAI 2018),"
    " arXiv 1802.02733",
    weight=WeightSpec(quantizer=SolvedSign(), scale=L1()),
    scope=_ENDS_REAL,
)

TSQ = Method(
    name="tsq",
    paper="Wang, Hu, Zhang, Zhang, Liu, Cheng: Two-Step Quantization for Low-bit Neural Networks (CVPR 2018)",
    weight=WeightSpec(quantizer=OptimalTernary(solve=True), scale=L1Masked()),
    activation=ActivationSpec(quantizer=SparseHalfWave(), estimator=PositiveWindow()),
    scope=_ENDS_REAL,
    block=BlockSpec(order="conv-pool-bn-act"),
    norm=NormSpec(affine=False),
)

TERNARY_RESIDUAL = Method(
    name="ternary_residual",
    paper="Kundu, Banerjee, Mellempudi, Mudigere, Das, Kaul, Dubey: Ternary Residual Networks (2017), arXiv"
    " 1707.04679",
    weight=WeightSpec(quantizer=TernaryResidual()),
    activation=ActivationSpec(pre=Measured(), quantizer=Uniform(bits=8), estimator=Identity()),
    scope=ScopeSpec(real=("first",)),
)

QCNN = Method(
    name="qcnn",
    paper="Wu, Leng, Wang, Hu, Cheng: Quantized Convolutional Neural Networks for Mobile Devices (CVPR 2016),"
    " arXiv 1512.06473",
    weight=WeightSpec(quantizer=CodeBook()),
    scope=ScopeSpec(real=("last",)),
)

ROWS = (
    Entry(
        method=BWNH,
        title="Binary weights via hashing",
        year=2018,
        parent="bwn",
        published=(
            Published(data="ImageNet", network="AlexNet", top1=58.5, bits="1/32", source="the zoo, unopened"),
            Published(
                data="ImageNet", network="ResNet-18", top1=64.3, bits="1/32", source="the zoo, unopened"
            ),
        ),
        start="digits/bwnh.yaml",
        note="The alternation of codes and factors is derived from the paper's objective; afterwards the"
        " latent weights α·b are fine-tuned by the plain straight-through estimator.",
    ),
    Entry(
        method=TSQ,
        title="Two-Step Quantization",
        year=2018,
        parent="twn",
        published=(
            Published(
                data="CIFAR-10", network="VGG-Small", top1=93.5, bits="T/2", source="the zoo, unopened"
            ),
            Published(data="ImageNet", network="AlexNet", top1=58.0, bits="T/2", source="the zoo, unopened"),
        ),
        start="digits/tsq_2.yaml",
        note="The second step; the first is the same row with real weights (configs/digits/tsq_1.yaml). Its"
        " alternation is derived from the paper's objective.",
    ),
    Entry(
        method=QCNN,
        title="Quantized CNN",
        year=2016,
        parent="fp",
        start="digits/qcnn.yaml",
        note="Table look-ups, not bits: no packed file. The training loop is derived from the paper's"
        " objective, since the authors released none; the last layer stays real.",
    ),
    Entry(
        method=TERNARY_RESIDUAL,
        title="Ternary Residual Networks",
        year=2017,
        parent="twn",
        start="digits/ternary_residual.yaml",
        note="No training. The factors reach over a filter instead of blocks of it, which a packed file"
        " cannot hold; the measure of sensitivity is ours. The first layer stays real.",
    ),
)
