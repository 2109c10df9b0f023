"""Least squares binary quantization, and HORQ's residuals of each window."""

from __future__ import annotations

from bnn_train.spec.estimators import Clip, ClipOpen
from bnn_train.spec.method import ActivationSpec, BlockSpec, Method, ScopeSpec, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published, variant
from bnn_train.spec.methods.xnor import XNOR
from bnn_train.spec.pre import Clamp
from bnn_train.spec.quantizers import Greedy, LeastSquares, LeastSquaresTernary, Sign
from bnn_train.spec.scales import L1

_PAPER = (
    "Pouransari, Tu, Tuzel: Least squares binary quantization of neural networks (2020), arXiv 2001.02786"
)
_NOTE = "Convolutions have no bias before their ReLU, and a real shortcut has its norm before it, not behind."


def _activation(quantizer: Greedy | LeastSquares | LeastSquaresTernary) -> ActivationSpec:
    return ActivationSpec(pre=Clamp(), quantizer=quantizer, estimator=Clip())


LS1 = Method(
    name="ls1",
    paper=f"{_PAPER}; LS-1, one bit",
    weight=WeightSpec(quantizer=Sign(), scale=L1(), gradient="detached", estimator=Clip()),
    activation=_activation(Greedy(bases=1)),
    scope=ScopeSpec(real=("first", "downsample", "last")),
    block=BlockSpec(
        order="bn-act-conv-pool", shortcut="per_conv", post_add_activation="none", product_relu=True
    ),
)
LS2 = variant(
    LS1, "ls2", paper=f"{_PAPER}; LS-2, two-bit activations", activation=_activation(LeastSquares())
)
LST = variant(
    LS1,
    "lst",
    paper=f"{_PAPER}; LS-T, ternary activations",
    activation=_activation(LeastSquaresTernary()),
)
GF2 = variant(
    LS1, "gf2", paper=f"{_PAPER}; GF-2, greedy two-bit activations", activation=_activation(Greedy())
)
HORQ = variant(
    XNOR,
    "horq",
    paper="Li, Ni, Zhang, Yang, Gao: HORQ (ICCV 2017), arXiv 1708.08687; order 2",
    activation=ActivationSpec(quantizer=Greedy(stat="column"), estimator=ClipOpen()),
)


def _row(method: Method, title: str, bits: str, plain: float | None, taught: float) -> Entry:
    """ImageNet, ResNet-18: without distillation (an earlier text's table 2) and with it (authors' README)."""
    own = () if plain is None else (plain,)
    return Entry(
        method=method,
        title=title,
        year=2020,
        parent="xnor",
        published=(
            *(Published(data="ImageNet", network="ResNet-18", top1=top1, bits=bits) for top1 in own),
            Published(
                data="ImageNet", network="ResNet-18", top1=taught, bits=bits, source="authors' code, taught"
            ),
        ),
        note=_NOTE,
    )


ROWS = (
    _row(LS1, "LS-1", "1/1", 54.3, 58.9),
    _row(LS2, "LS-2", "1/2", 60.4, 63.4),
    _row(LST, "LS-T", "1/T", 58.3, 62.0),
    _row(GF2, "GF-2", "1/2", None, 62.6),
    Entry(
        method=HORQ,
        title="HORQ",
        year=2017,
        parent="xnor",
        note="The gradient was in nothing that could be read: ours is that of the chain of residuals.",
    ),
)
