"""The tables: published ones, and those of all methods."""

from __future__ import annotations

import difflib

from bnn_train.errors import RunError
from reproduction.table import Row, Stage, Table
from reproduction.zoo import zoo_tables

__all__ = ["TABLES", "Row", "Stage", "Table", "chosen", "table_of"]


def _rows(folder: str, *stems: str) -> tuple[Row, ...]:
    return tuple(Row(name=stem, config=f"{folder}/{stem}") for stem in stems)


_METHODS = ("fp", "bc", "bwn", "bnn", "xnor")
_C_B_A_P = "method.block.order=conv-bn-act-pool"
_K = "method.output_scale=xnor_k"
_LEARNED = ("method.weight.scale=learned", "method.weight.gradient=detached")
_AUTHORS = ("method.block.product_relu=false", "method.block.before_last=norm_relu")
_ON_ALEXNET = "the paper, AlexNet on ImageNet:"


def _ablations(
    folder: str, network: str, gradient: str, *, base: tuple[str, ...] = (), common: tuple[str, ...] = ()
) -> tuple[Row, ...]:
    """Table 3 and §4.2 of XNOR-Net on a smaller network.

    ``gradient``: the one through α that the config does not take; ``base``: what all XNOR rows share;
    ``common``: what all rows share.
    """
    xnor, bwn = f"{folder}/xnor_{network}", f"{folder}/fp_{network}"
    base = (*common, *base)
    weights = (*common, "method={name: bwn}", f"optimizer.lr={1e-3}", "optimizer.weight_decay=0")

    def row(name: str, config: str, *overrides: str, remark: str = "") -> Row:
        return Row(name=name, config=config, overrides=overrides, remark=remark)

    return (
        row("xnor", xnor, *base, remark=f"{_ON_ALEXNET} 44.2 (order B-A-C-P)"),
        row("order-c-b-a-p", xnor, *base, _C_B_A_P, remark=f"{_ON_ALEXNET} 30.3, 13.9 below B-A-C-P"),
        row("k", xnor, *base, _K, remark=f"{_ON_ALEXNET} less than 1 point above without K"),
        row("alpha-learned", xnor, *base, *_LEARNED),
        row(f"gradient-{gradient}", xnor, *base, f"method.weight.gradient={gradient}"),
        row("not-centred", xnor, *base, "method.latent.center=false"),
        row("bwn", bwn, *weights, remark=f"{_ON_ALEXNET} 56.8 (α = mean |W|)"),
        row("bwn-alpha-learned", bwn, *weights, *_LEARNED, remark=f"{_ON_ALEXNET} 46.2, 10.6 below mean |W|"),
    )


_TABLES = (
    Table(
        name="mnist-one-protocol",
        title="MNIST, MLP 3×2048: Loss-aware Binarization (ICLR 2017), table 1",
        folder="mnist",
        rows=_rows("mnist", *(f"{method}_mlp" for method in _METHODS)),
    ),
    Table(
        name="mnist-bc",
        title="MNIST, BinaryConnect's own recipes: table 2, and its later code",
        folder="mnist",
        rows=_rows(
            "mnist",
            *("fp_mlp1024", "fp_mlp1024_dropout", "bc_mlp1024", "bc_stochastic_mlp1024"),
            *("bc_mlp1280", "bc_stochastic_mlp2048"),
        ),
    ),
    Table(
        name="mnist-bnn",
        title="MNIST, BNN's own recipes: Theano, and Torch7 with shift-based norm and AdaMax",
        folder="mnist",
        rows=_rows("mnist", "bnn_mlp4096", "bnn_stochastic_mlp"),
    ),
    Table(
        name="mnist-lenet5",
        title="MNIST, LeNet-5 of XNOR-Net-PyTorch",
        folder="mnist",
        rows=_rows("mnist", "fp_lenet5", "xnor_lenet5", "xnor_k_lenet5"),
    ),
    Table(
        name="cifar10-one-protocol",
        title="CIFAR-10, BinaryConnect's ConvNet: Loss-aware Binarization (ICLR 2017), table 1",
        folder="cifar10",
        rows=_rows("cifar10", *(f"{method}_convnet_lab" for method in _METHODS)),
    ),
    Table(
        name="cifar10-bc",
        title="CIFAR-10, BinaryConnect: table 2",
        folder="cifar10",
        rows=_rows("cifar10", "fp_convnet", "bc_convnet", "bc_stochastic_convnet"),
    ),
    Table(
        name="cifar10-bnn",
        title="CIFAR-10, BNN: Theano, and Torch7 with shift-based norm and AdaMax",
        folder="cifar10",
        rows=_rows("cifar10", "bnn_convnet", "bnn_stochastic_convnet"),
    ),
    Table(
        name="cifar10-xnor",
        title="CIFAR-10, XNOR-Net's paper §4.2 and the Network-in-Network of XNOR-Net-PyTorch",
        folder="cifar10",
        rows=_rows("cifar10", "bwn_convnet", "xnor_convnet", "fp_nin", "bwn_nin", "xnor_nin"),
    ),
    Table(
        name="cifar10-resnet20",
        title="CIFAR-10, ResNet-20 under the protocol of later papers",
        folder="cifar10",
        rows=_rows(
            "cifar10",
            *("fp_resnet20", "dorefa_resnet20", "xnor_resnet20", "xnor_k_resnet20"),
            *("bwn_resnet20", "bnn_resnet20", "bireal_resnet20", "twn_resnet20"),
        ),
    ),
    Table(
        name="cifar10-vgg-small",
        title="CIFAR-10, VGG-Small under the protocol of later papers",
        folder="cifar10",
        rows=_rows("cifar10", "fp_vgg_small", "bc_vgg_small", "bnn_vgg_small", "xnor_vgg_small"),
    ),
    Table(
        name="svhn",
        title="SVHN, BinaryConnect and BNN (Theano, Torch7)",
        folder="svhn",
        rows=_rows(
            "svhn",
            *("fp_convnet", "bc_convnet", "bc_stochastic_convnet", "bnn_convnet", "bnn_stochastic_convnet"),
        ),
    ),
    Table(
        name="svhn-one-protocol",
        title="SVHN, half-width ConvNet: Loss-aware Binarization (ICLR 2017), table 1",
        folder="svhn",
        rows=_rows("svhn", *(f"{method}_convnet_lab" for method in _METHODS)),
    ),
    Table(
        name="imagenet-alexnet",
        title="ImageNet, AlexNet: XNOR-Net, table 1, and its re-runs",
        folder="imagenet",
        rows=(
            *_rows("imagenet", "fp_alexnet", "bwn_alexnet", "bc_alexnet", "xnor_alexnet", "bnn_alexnet"),
            Row(name="xnor_alexnet_larq", config="xnor_alexnet"),
            *_rows("imagenet", "xnor_alexnet_port", "bnn_alexnet_larq", "bnn_alexnet_x3"),
            *_rows("imagenet", "bwn_alexnet_paper", "xnor_k_alexnet_paper"),
            Row(
                name="bwn_alexnet_alpha_learned",
                config="imagenet/bwn_alexnet",
                overrides=_LEARNED,
                top1=46.2,
                source="XNOR-Net, table 3: α as a parameter",
            ),
            Row(
                name="xnor_alexnet_c_b_a_p",
                config="imagenet/xnor_alexnet",
                overrides=(_C_B_A_P,),
                top1=30.3,
                source="XNOR-Net, table 3: order C-B-A-P",
            ),
        ),
    ),
    Table(
        name="imagenet-resnet18",
        title="ImageNet, ResNet-18: XNOR-Net, table 2",
        folder="imagenet",
        rows=_rows("imagenet", "fp_resnet18", "bwn_resnet18", "xnor_resnet18"),
    ),
    Table(
        name="imagenet-googlenet",
        title="ImageNet, GoogLeNet's variant (Darknet's Extraction): XNOR-Net, table 2, and BNN",
        folder="imagenet",
        rows=_rows("imagenet", "fp_extraction", "bwn_extraction", "bnn_extraction"),
    ),
    Table(
        name="xnor-ablations",
        title="MNIST, LeNet-5: the ablations of XNOR-Net (table 3, §4.2) at small scale",
        folder="mnist",
        rows=_ablations("mnist", "lenet5", "official", base=_AUTHORS),
    ),
    Table(
        name="xnor-ablations-alexnet",
        title="CIFAR-10, AlexNet at a quarter of its width: the ablations of XNOR-Net (table 3, §4.2)",
        folder="cifar10",
        rows=_ablations("cifar10", "alexnet", "exact", common=("model.width=0.25",)),
    ),
    Table(
        name="xnor-ablations-cifar10",
        title="CIFAR-10, LeNet-5: the ablations of XNOR-Net (table 3, §4.2) at small scale",
        folder="cifar10",
        rows=_ablations("cifar10", "lenet5", "exact"),
    ),
    Table(
        name="xnor-ablations-resnet20",
        title="CIFAR-10, ResNet-20: the ablations of XNOR-Net (table 3, §4.2) at small scale",
        folder="cifar10",
        rows=_ablations("cifar10", "resnet20", "exact"),
    ),
)
TABLES: dict[str, Table] = {table.name: table for table in (*_TABLES, *zoo_tables())}


def table_of(name: str) -> Table:
    """A table by name. Raises RunError with the nearest name."""
    if name in TABLES:
        return TABLES[name]
    close = difflib.get_close_matches(name, TABLES, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    raise RunError(f"no such table: {name!r}{hint}; known: {', '.join(TABLES)}")


def chosen(table: Table, names: str | None) -> tuple[Row, ...]:
    """All rows, or those of a list ``a,b``. Raises RunError for names that the table has not."""
    if names is None:
        return table.rows
    wanted = [name.strip() for name in names.split(",")]
    known = [row.name for row in table.rows]
    if strange := [name for name in wanted if name not in known]:
        raise RunError(f"{table.name} has no row {strange[0]!r}; its rows: {', '.join(known)}")
    return tuple(row for row in table.rows if row.name in wanted)
