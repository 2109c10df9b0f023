"""Weights that are quantized little by little: FleBin by layers, INQ by fractions of each layer."""

from __future__ import annotations

from bnn_train.spec.method import LatentSpec, Method, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published
from bnn_train.spec.methods.xnor import BWN
from bnn_train.spec.progress import ByFraction, ByLayer
from bnn_train.spec.quantizers import Powers
from bnn_train.spec.scales import MaxPow2

FLEBIN = Method(
    name="flebin",
    paper="Zhuang, Xu, Ni, Xu: Flexible Network Binarization with Layer-wise Priority (2017), arXiv"
    " 1709.04344",
    weight=BWN.weight.model_copy(update={"progress": ByLayer()}),
    latent=LatentSpec(init="he_in"),
)

INQ = Method(
    name="inq",
    paper="Zhou, Yao, Guo, Xu, Chen: Incremental Network Quantization (INQ, ICLR 2017), arXiv 1702.03044",
    weight=WeightSpec(quantizer=Powers(), scale=MaxPow2(), granularity="layer", progress=ByFraction()),
    latent=LatentSpec(init="he_in"),
)

ROWS = (
    Entry(
        method=FLEBIN,
        title="Flexible Network Binarization",
        year=2017,
        parent="bwn",
        start="digits/flebin.yaml",
        note="The paper leaves open how long each layer takes, and whether α stays: here the layers follow"
        " each other evenly, every one of them, and α is that of each step.",
    ),
    Entry(
        method=INQ,
        title="Incremental Network Quantization",
        year=2017,
        parent="twn",
        published=(
            Published(data="ImageNet", network="AlexNet", top1=57.4, bits="5/32", source="survey"),
            Published(data="ImageNet", network="ResNet-18", top1=68.98, bits="5/32", source="survey"),
            Published(data="ImageNet", network="ResNet-18", top1=66.0, bits="2/32", source="survey"),
        ),
        start="digits/inq.yaml",
        note="The row trains a real network for a quarter of the run; the paper starts from a trained one.",
    ),
)
