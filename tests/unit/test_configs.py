"""The shipped configs: complete, named after what they hold, documented, and all different."""

from __future__ import annotations

from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from bnn_train.config.loader import load
from bnn_train.config.schema import Experiment, Reference
from bnn_train.spec.datasets import DATASETS
from bnn_train.spec.methods import METHODS
from bnn_train.spec.networks import NETWORKS

ROOT = Path(__file__).resolve().parents[2]
PATHS = sorted((ROOT / "configs").rglob("*.yaml"))
PLACED = [path for path in PATHS if path.parent.name != "configs"]
SETS = ("mnist", "cifar10", "svhn", "imagenet")
OWN = "folder"
DIGITS = "digits"
VARIANTS = (
    "",
    "_lab",
    "_paper",
    "_port",
    "_larq",
    "_x3",
    "_dropout",
    "_1x1",
    "_2",
    "_board",
    "_activations",
    "_both",
    "_stage1",
    "_stage2",
    "_stage3",
    "_tuned",
)
"""Whose recipe it is, where several have published one for the same network: the protocol of Loss-aware
Binarization, the paper where its own code differs, XNOR-Net-PyTorch, Larq Zoo; or what is special in it."""
METHODS_OF_THE_32 = ("fp", "bc", "bnn", "bwn", "xnor")  # and the real-valued twin


@cache
def loaded(path: Path) -> Experiment:
    return load(path)


def header(path: Path) -> list[str]:
    lines = path.read_text().splitlines()
    return [line.removeprefix("#").strip() for line in lines[: lines.index("")]]


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


each = pytest.mark.parametrize("path", PATHS, ids=label)


def test_all_are_found() -> None:
    """Those in folders, too: a glob that misses some would pass every test below."""
    assert len(PATHS) > 100
    assert {path.parent.name for path in PATHS} == {"configs", DIGITS, OWN, *SETS}


@each
def test_header_tells_the_command_and_the_expected_result(path: Path) -> None:
    lines = header(path)
    top1 = loaded(path).reference.top1
    expected = "no published number" if top1 is None else f"{top1:.2f} % top-1"
    assert f"Run:      bnn-train --config {label(path)}" in lines
    assert [line for line in lines if line.startswith(f"Expected: {expected}")]


@each
def test_band_is_the_sampling_error_of_the_published_number(path: Path) -> None:
    """1.96·√(p(1 − p)/n) in points, to one decimal; stated in the header, and absent without a number."""
    reference, n = loaded(path).reference, DATASETS[loaded(path).data.name].test
    lines = [line for line in header(path) if line.startswith("Band:")]
    if reference.band is None:
        assert lines == []
        return
    assert reference.top1 is not None
    p = reference.top1 / 100
    assert reference.band == round(196 * (p * (1 - p) / n) ** 0.5, 1)
    assert lines == [f"Band:     ±{reference.band} points, the 95 % sampling error of {n:,} test images"]


# Published numbers that are no runs of the protocol they stand in, or of another network.
COPIED = {
    "imagenet/widen_squeeze_resnet18",
    "mnist/ebp_mlp",
    "cifar10/bc_vgg_small",
    "cifar10/bnn_vgg_small",
    "cifar10/resnete18_resnete18",
    "cifar10/bnnplus_resnet20",
    "cifar10/bnnplus_vgg_small",
    "cifar10/reste_resnet20",
    "cifar10/xnor_vgg_small",
    "imagenet/abcnet_resnet18",
    "imagenet/abcnet_resnet18_1x1",
    "imagenet/bnn_alexnet_x3",
    "imagenet/bnn_extraction",
    "imagenet/bnn_resnet18",
    "imagenet/bwnh_alexnet",
    "imagenet/bwnh_resnet18",
    "imagenet/cbcn_resnet18",
    "imagenet/dorefa_alexnet",
    "imagenet/ls1_resnet18",
    "imagenet/ls2_resnet18",
    "imagenet/lst_resnet18",
    "imagenet/hwgq_resnet18",
    "imagenet/ttq_alexnet",
    "imagenet/reste_resnet18",
    "imagenet/reste_resnet34",
    "mnist/twn_lenet5",
    "cifar10/tsq_vgg_small_2",
    "imagenet/tsq_alexnet_2",
}


def test_only_copied_numbers_have_no_band() -> None:
    references = {str(p.relative_to(ROOT / "configs").with_suffix("")): loaded(p).reference for p in PATHS}
    assert {name for name, r in references.items() if r.top1 is not None and r.band is None} == COPIED


@each
def test_reference_is_its_own(path: Path) -> None:
    """None is inherited: a sibling's published number would be a lie here."""
    assert set(yaml.safe_load(path.read_text())["reference"]) == set(Reference.model_fields)
    assert loaded(path).reference.paper


@pytest.mark.parametrize("path", PLACED, ids=label)
def test_path_names_method_network_and_data_set(path: Path) -> None:
    experiment = loaded(path)
    assert path.parent.name == experiment.data.name
    if path.parent.name == DIGITS:  # a start for a row, or one stage of it
        assert path.stem.startswith((experiment.method.name, experiment.model.name))
        return
    suffixes = {"", str(getattr(experiment.model, "width", ""))}
    kind = f"{experiment.method.name}_{experiment.model.name}"
    names = {f"{kind}{suffix}{variant}" for suffix, variant in product(suffixes, VARIANTS)}
    assert path.stem in names


def test_the_two_at_the_top() -> None:
    top = {path.stem: loaded(path) for path in PATHS if path not in PLACED}
    kinds = {stem: (e.method.name, e.model.name, e.data.name) for stem, e in top.items()}
    assert kinds == {
        "quickstart": ("bnn", "mlp", "digits"),
        "xnor_alexnet": ("xnor", "alexnet", "imagenet"),
    }


@pytest.mark.parametrize(
    ("data", "method", "network"),
    list(product(SETS, METHODS_OF_THE_32, ("alexnet", "resnet18"))),
)
def test_every_core_method_on_every_network_and_data_set(data: str, method: str, network: str) -> None:
    experiment = loaded(ROOT / f"configs/{data}/{method}_{network}.yaml")
    assert (experiment.data.name, experiment.method.name, experiment.model.name) == (data, method, network)


def test_every_row_has_a_config() -> None:
    assert {loaded(path).method.name for path in PATHS} == set(METHODS)
    assert {loaded(path).model.name for path in PATHS} == set(NETWORKS)


@pytest.mark.parametrize("path", [path for path in PLACED if path.parent.name != DIGITS], ids=label)
def test_every_network_has_its_real_valued_twin(path: Path) -> None:
    experiment = loaded(path)
    twin = loaded(path.with_name(f"fp_{experiment.model.name}.yaml"))
    assert (twin.method.name, twin.model.name, twin.data.name) == (
        "fp",
        experiment.model.name,
        experiment.data.name,
    )


def test_none_repeats_another() -> None:
    seen: dict[str, Path] = {}
    for path in PATHS:
        key = loaded(path).model_dump_json(exclude={"run", "reference"})
        assert key not in seen, f"{label(path)} repeats {label(seen[key])}"
        seen[key] = path


# core-methods.md gives each of these with its source: [path, key path, value].
FACTS: list[tuple[str, str, Any]] = [
    ("mnist/bc_mlp", "optimizer.lr", 0.01),
    ("mnist/bnn_mlp", "optimizer.lr", 0.005),
    ("mnist/xnor_mlp", "optimizer.lr", 0.005),
    ("mnist/xnor_mlp", "schedule.at", (15, 25)),
    ("mnist/bwn_mlp", "training.epochs", 50),
    ("mnist/bwn_mlp", "method.scope.real", ()),
    ("mnist/bwn_mlp", "method.weight.granularity", "layer"),
    ("mnist/xnor_mlp", "method.latent.center", False),
    ("mnist/xnor_mlp", "method.latent.clip", 1.0),
    ("mnist/bnn_mlp", "method.latent.lr_scale", "none"),
    ("mnist/bnn_mlp4096", "model.dropout_input", 0.2),
    ("mnist/bnn_mlp4096", "method.latent.lr_scale", "glorot"),
    ("mnist/bc_stochastic_mlp1024", "loss.reduction", "sum"),
    ("mnist/bc_stochastic_mlp1024", "optimizer.lr", 0.3),
    ("cifar10/bc_convnet", "schedule.end", 2e-6),
    ("cifar10/bnn_convnet", "schedule.end", 3e-7),
    ("cifar10/bop_convnet", "optimizer.binary.threshold", 1e-8),
    ("cifar10/dorefa_resnet20", "method.activation.quantizer.bits", 1),
    ("cifar10/ttq_resnet20", "schedule.at", (82, 123, 150)),
    ("cifar10/hwgq_vgg_small", "optimizer.lr", 0.01),
    ("cifar10/hwgq_vgg_small", "training.epochs", 200),
    ("cifar10/adabin_resnet20", "optimizer.weight_decay_binary", 1e-4),
    ("imagenet/adabin_resnet18", "training.epochs", 120),
    ("imagenet/dorefa_alexnet", "method.output_gradient.bits", 6),
    ("imagenet/wrpn_alexnet", "model.width", 2.0),
    ("svhn/bc_convnet", "data.extra", True),
    ("svhn/bc_convnet", "model.width", 64),
    ("imagenet/bwn_alexnet", "schedule.rates", {0: 1e-2, 18: 5e-3, 29: 1e-3, 43: 5e-4, 52: 1e-4}),
    ("imagenet/xnor_alexnet", "schedule.rates", {0: 1e-3, 18: 5e-4, 29: 1e-4, 43: 5e-5, 52: 1e-5}),
    ("imagenet/bwn_alexnet", "model.dropout", 0.1),
    ("imagenet/bwn_alexnet", "optimizer.weight_decay_binary", 5e-4),
    ("imagenet/bwn_alexnet", "method.norm.gamma", "uniform"),
    ("imagenet/bc_alexnet", "method.latent.lr_scale", "none"),
    ("imagenet/bnn_alexnet_larq", "model.channels", (64, 192, 384, 384, 256, 4096, 4096)),
    ("imagenet/xnor_alexnet", "optimizer.eps", 1e-17),
    ("mnist/xnor_lenet5", "method.block.before_last", "none"),
    ("cifar10/xnor_nin", "method.latent.init", "normal_005"),
    ("imagenet/xnor_alexnet", "optimizer.weight_decay", 0.0),
    ("imagenet/xnor_alexnet", "data.sampling", "balanced"),
    ("imagenet/bwn_alexnet", "optimizer.weight_decay_epochs", 29),
    ("imagenet/bwn_alexnet_paper", "training.epochs", 16),
    ("imagenet/bnn_alexnet_x3", "model.channels", (192, 576, 1152, 768, 256, 4096, 4096)),
    ("imagenet/bnn_alexnet_x3", "schedule.rates", {0: 5e-3, 20: 1e-3, 30: 5e-4, 35: 1e-4, 40: 1e-5}),
    ("imagenet/bwn_alexnet_paper", "method.weight.gain", "none"),
    ("imagenet/xnor_k_alexnet_paper", "method.output_scale.name", "xnor_k"),
    ("mnist/bc_stochastic_mlp2048", "method.norm.momentum", 0.15),
    ("mnist/bc_mlp1280", "schedule.end", 3e-6),
    ("mnist/bnn_stochastic_mlp", "optimizer.lr", 2**-6),
    ("mnist/bnn_stochastic_mlp", "schedule.every", 20),
    ("mnist/bnn_stochastic_mlp", "method.latent.lr_scale", "glorot"),
    ("cifar10/bnn_stochastic_convnet", "optimizer.lr", 2**-6),
    ("cifar10/bnn_stochastic_convnet", "schedule.every", 50),
    ("cifar10/bnn_stochastic_convnet", "data.batch_size", 200),
    ("cifar10/bnn_stochastic_convnet", "method.latent.lr_scale", "glorot_pow2"),
    ("svhn/bnn_stochastic_convnet", "optimizer.lr", 2**-7),
    ("svhn/bnn_stochastic_convnet", "method.norm.kind", "shift"),
    ("svhn/bnn_stochastic_convnet", "method.norm.momentum", 0.125),
    ("cifar10/bc_convnet_lab", "optimizer.lr", 0.03),
    ("cifar10/xnor_convnet_lab", "optimizer.lr", 0.02),
    ("cifar10/bnn_convnet_lab", "schedule.every", 15),
    ("cifar10/bnn_convnet_lab", "schedule.factor", 0.5),
    ("svhn/bwn_convnet_lab", "optimizer.lr", 1e-3),
    ("svhn/bnn_convnet_lab", "optimizer.lr", 5e-4),
    ("svhn/bnn_convnet_lab", "schedule.at", (15, 25)),
    ("svhn/bnn_convnet_lab", "model.width", 64),
    ("imagenet/ls2_resnet18", "method.activation.pre.limit", 3.0),
    ("imagenet/lqnets_resnet34", "method.weight.quantizer.bases", 1),
    ("mnist/rebnet_mlp256", "model.depth", 4),
    # the code that a config follows: itayhubara/BinaryNet, Larq Zoo, Thinklab-SJTU/twns, tensorpack's
    # alexnet-dorefa.py, plumerai/rethinking-bnn-optimization, XNOR-Net-PyTorch (epochs from 1)
    ("cifar10/bnn_stochastic_convnet", "method.latent.clip_all", True),
    ("svhn/bnn_stochastic_convnet", "method.latent.clip_all", False),
    ("mnist/bnn_stochastic_mlp", "method.latent.clip_all", False),
    ("imagenet/dorefa_alexnet", "optimizer.weight_decay_binary", 5e-6),
    ("imagenet/bnn_alexnet_larq", "method.latent.init", "glorot_uniform"),
    ("imagenet/bireal_resnet18", "method.latent.init", "glorot_normal"),
    ("imagenet/bireal_resnet18", "model.init", "glorot_normal"),
    ("imagenet/bireal_resnet18", "method.norm.eps", 1e-3),
    ("imagenet/bireal_resnet18", "schedule.per", "step"),
    ("cifar10/bop_convnet", "method.norm.eps", 1e-3),
    ("cifar10/bop_convnet", "method.norm.momentum", 0.01),
    ("mnist/twn_lenet5", "method.scope.real", ("last",)),
    ("mnist/twn_lenet5", "schedule.at", (14, 29, 44, 59, 74, 89)),
    ("cifar10/xnor_nin", "schedule.at", (119, 199, 239, 279)),
    ("cifar10/bwn_nin", "schedule.at", (119, 199, 239, 279)),
    ("mnist/xnor_lenet5", "schedule.at", (14, 29, 44, 59)),
    ("mnist/xnor_lenet5", "method.latent.init", "torch"),
    ("mnist/xnor_k_lenet5", "method.latent.init", "torch"),
    ("mnist/fp_lenet5", "model.init", "torch"),
]


@pytest.mark.parametrize(("path", "key", "value"), FACTS)
def test_published_settings(path: str, key: str, value: object) -> None:
    found: Any = loaded(ROOT / f"configs/{path}.yaml")
    for name in key.split("."):
        found = getattr(found, name)
    assert found == value
