"""Combinations that cannot work are refused where they stand; everything that can work passes."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from bnn_train.config.checks import problems
from bnn_train.config.loader import from_mapping, load
from bnn_train.config.merge import merge
from bnn_train.errors import ConfigError
from bnn_train.spec.methods import ENTRIES, METHODS
from bnn_train.spec.networks import NETWORKS

BASE = {"method": "bnn", "model": "alexnet", "data": "mnist"}
DRAWN = {"size": 7, "take": "random", "seed": 1, "cut": "0a", "images": 90, "names": "0" * 64}
BOP = {"method": "bop", "optimizer": {"name": "adam", "binary": "bop"}}


def found(**sections: Any) -> dict[str, str]:
    """Key path → sentence for the problems of a small experiment."""
    return {".".join(map(str, path)): told for path, told in problems(from_mapping(merge(BASE, sections)))}


def method(name: str, **axes: Any) -> dict[str, Any]:
    return {"method": {"name": name, **axes}}


def data(name: str, **keys: Any) -> dict[str, Any]:
    return {"data": {"name": name, **keys}}


@pytest.mark.parametrize("row", METHODS)
def test_every_row_with_plain_defaults_passes(row: str) -> None:
    own = ENTRIES[row].optimizer
    optimizer = {"name": own or "adam", "binary": ENTRIES[row].trainer or None}
    loss = "probit" if METHODS[row].output_scale.of_signs else "cross_entropy"
    for network, name in product(NETWORKS, ("mnist", "cifar10", "svhn", "imagenet")):
        select = "last" if name == "imagenet" else "validation"
        sections = {"method": row, "model": network, "data": name, "optimizer": optimizer, "loss": loss}
        training = {"select": select}
        if METHODS[row].weight.quantizer.solves:
            training["init_from"] = "runs/digits/fp"
        if METHODS[row].activation.quantizer.wants_plain_norm:
            assert not METHODS[row].norm.affine
        told = found(**sections, training=training)
        chances, gates = METHODS[row].output_scale.of_chances, METHODS[row].activation.quantizer.gates
        if (chances and network != "mlp") or gates:  # want a plain chain, and channels of one reader
            assert told.keys() <= {"model.name"}
        else:
            assert told == {}


@pytest.mark.parametrize(
    "sections",
    [
        method("xnor", weight={"gradient": "exact"}),
        method("xnor", weight={"gradient": "identity", "granularity": "layer"}, scope={"real": []}),
        method("twn", weight={"scale": "none", "gradient": "detached"}),
        method("xnor", weight={"scale": "learned", "gradient": "detached"}),
        data("mnist", batches_per_epoch=10**6, sampling="balanced"),
        method("xnor", activation={"quantizer": "uniform", "bits": 4, "estimator": "identity"}),
        method("bnn", padding=-1),
        method("bc", weight={"evaluate": "latent"}),
        {"optimizer": {"name": "sgd", "momentum": 0.9, "nesterov": True}},
        {"schedule": {"name": "step", "every": 3}},
        {"schedule": {"name": "step", "at": [100, 150]}, "training": {"epochs": 2}},
        {"schedule": {"name": "table", "rates": {0: 0.1, 90: 0.01}}},
        {"schedule": {"name": "exponential", "end": 1e-6}},
        data("cifar10", normalize=["gcn", "zca"], augment=["pad_crop_flip"]),
        data("svhn", normalize=["gcn", "lcn"], extra=True),
        data("svhn", extra=True, validation={"size": 100_000}),
        data("mnist", normalize=["pixel_mean"], image_size=32),
        {**data("synthetic", shape=[2, 32, 32], num_classes=3), "training": {"select": "last"}},
        data("imagenet", validation={"size": 10_000}, augment=["random_resized_crop"], num_classes=10),
        data("imagenet", validation={"folder": "val"}, test_folder="test", exif="apply", on_error="skip"),
        data("imagenet", validation={"size": 7, "drawn": DRAWN}),
        data("imagenet", validation={"size": 1}, augment=["resize_crop"], resize=256, normalize=["signed"]),
        {**data("digits"), "model": "mlp"},
        {**data("digits", image_size=32), "model": "nin"},
        {"training": {"amp": "fp16"}},
        {"training": {"amp": "bf16"}, "run": {"device": "cpu"}},
        {"training": {"select": "test"}, **data("mnist", validation={"size": 0})},
        {"model": {"name": "mlp", "depth": 1}},
        data("mnist", train_limit=10, drop_last=False),
    ],
)
def test_what_can_work_passes(sections: dict[str, Any]) -> None:
    assert found(**sections) == {}


@pytest.mark.parametrize(
    ("sections", "path", "words"),
    [
        # stored ±1 weights
        ({"optimizer": {"name": "adam", "binary": "bop"}}, "optimizer.binary", "method bop"),
        (method("bop"), "optimizer.binary", "set optimizer.binary: bop"),
        ({**BOP, **method("bop", weight={"scale": "l1"})}, "method.weight.scale", "none"),
        ({**BOP, **method("bop", weight={"gradient": "detached"})}, "method.weight.gradient", "identity"),
        ({**BOP, **method("bop", latent={"clip": 1.0})}, "method.latent.clip", "stored"),
        ({**BOP, **method("bop", latent={"center": True})}, "method.latent.center", "stored"),
        ({**BOP, **method("bop", latent={"init": "glorot"})}, "method.latent.init", "sign"),
        ({**BOP, "training": {"ema": 0.9}}, "training.ema", "average"),
        # weights
        (method("twn", weight={"scale": "l1"}), "method.weight.scale", "l1_masked"),
        (method("bireal", weight={"scale": "l1_masked"}), "method.weight.scale", "use l1"),
        (method("twn", weight={"gradient": "exact"}), "method.weight.gradient", "sign"),
        (method("bnn", weight={"gradient": "official"}), "method.weight.gradient", "l1"),
        (method("bc_stochastic", weight={"evaluate": "binary"}), "method.weight.evaluate", "latent"),
        (
            method("bc", weight={"scale": "learned", "evaluate": "latent"}),
            "method.weight.scale",
            "latent",
        ),
        (method("bwn", weight={"scale": "learned"}), "method.weight.gradient", "detached"),
        (method("bwn", block={"product_relu": True}), "method.block.product_relu", "bn-act-conv-pool"),
        (
            {**method("bwn", block={"product_relu": True}), "model": "resnet20", "data": "cifar10"},
            "method.block.product_relu",
            "bn-act-conv-pool",
        ),
        (method("bwn", block={"before_last": "norm"}), "method.block.before_last", "bn-act-conv-pool"),
        (
            method("xnor", scope={"real": ["first"]}, block={"before_last": "none"}),
            "method.block.before_last",
            "real last layer",
        ),
        (
            method("ls2", activation={"pre": "relu"}),
            "method.activation.pre",
            "leaves no number below 0",
        ),
        # rules without their object
        (method("fp", weight={"scale": "l1"}), "method.weight.scale", "no effect"),
        (method("fp", weight={"gradient": "detached"}), "method.weight.gradient", "no effect"),
        (method("fp", weight={"gain": "fan_in"}), "method.weight.gain", "no effect"),
        (method("fp", latent={"clip": 1.0}), "method.latent.clip", "no effect"),
        (method("fp", latent={"center": True}), "method.latent.center", "no effect"),
        (method("fp", latent={"lr_scale": "glorot"}), "method.latent.lr_scale", "no effect"),
        (
            {**method("fp"), "optimizer": {"name": "adam", "weight_decay_binary": 1e-4}},
            "optimizer.weight_decay_binary",
            "no effect",
        ),
        # activations, padding, scope
        (method("bwn", output_scale="xnor_k"), "method.output_scale", "sign"),
        (method("dorefa", activation={"estimator": "clip"}), "method.activation.estimator", "[0, 1]"),
        (method("bnn", activation={"estimator": "unit"}), "method.activation.estimator", "around 0"),
        (
            method("bnn", activation={"quantizer": "sign", "estimator": "unit"}),
            "method.activation.estimator",
            "sign",
        ),
        (method("bwn", padding=1), "method.padding", "belongs to signs"),
        (method("dorefa", padding=1), "method.padding", "belongs to signs"),
        (method("xnor_k", padding=-1), "method.padding", "averages zeros"),
        (method("bnn", scope={"real": ["first", "body", "last"]}), "method.scope.real", "no layer"),
        ({"method": "bwn", "model": {"name": "mlp", "depth": 1}}, "method.scope.real", "no layer of mlp"),
        # optimizer, schedule, training
        ({"optimizer": {"name": "sgd", "nesterov": True}}, "optimizer.nesterov", "momentum"),
        ({"optimizer": {"name": "sgd", "weight_decay_epochs": 3}}, "optimizer.weight_decay_epochs", "effect"),
        ({"schedule": "step"}, "schedule", "either at"),
        ({"schedule": {"name": "step", "at": [1], "every": 1}}, "schedule", "not both"),
        ({"schedule": {"name": "table", "rates": {1: 0.1}}}, "schedule.rates", "epoch 0"),
        ({"schedule": {"name": "table", "rates": {}}}, "schedule.rates", "epoch 0"),
        ({"schedule": {"name": "exponential", "end": 0.01}}, "schedule.end", "optimizer.lr (0.001)"),
        ({"schedule": {"name": "cosine", "end": 0.01}}, "schedule.end", "rise"),
        ({"schedule": {"name": "linear", "end": 0.01}}, "schedule.end", "rise"),
        ({"schedule": {"name": "cosine", "warmup": 10}}, "schedule.warmup", "10 epochs"),
        (data("imagenet"), "training.select", "data.validation.size"),
        (data("mnist", validation={"size": 0}), "training.select", "training.select: last"),
        ({"training": {"amp": "fp16"}, "run": {"device": "cpu"}}, "training.amp", "bf16"),
        ({"run": {"dir": " "}}, "run.dir", "folder"),
        # data
        (data("cifar10", validation={"size": 50_000}), "data.validation.size", "50000"),
        (data("svhn", validation={"size": 73_257}), "data.validation.size", "73257"),
        (data("cifar10", extra=True), "data.extra", "svhn"),
        (data("cifar10", shape=[3, 32, 32]), "data.shape", "synthetic"),
        (data("mnist", num_classes=10), "data.num_classes", "synthetic, imagenet, folder and csv"),
        (data("mnist", resize=40), "data.resize", "imagenet"),
        (data("mnist", exif="apply"), "data.exif", "imagenet"),
        (data("mnist", on_error="skip"), "data.on_error", "imagenet"),
        (data("mnist", test_folder="test"), "data.test_folder", "imagenet"),
        (data("mnist", validation={"folder": "val"}), "data.validation.folder", "imagenet"),
        (data("mnist", validation={"by": "position"}), "data.validation.by", "imagenet"),
        (data("imagenet", validation={"folder": "val", "size": 9}), "data.validation.folder", "or size"),
        (data("imagenet", validation={"folder": "train"}), "data.validation.folder", "training images"),
        (
            data("imagenet", validation={"folder": "test"}, test_folder="test"),
            "data.validation.folder",
            "test images",
        ),
        (data("imagenet", validation={"size": 9, "drawn": DRAWN}), "data.validation.drawn", "draw anew"),
        (
            data("imagenet", validation={"size": 7, "take": "last", "drawn": DRAWN}),
            "data.validation.drawn",
            "anew",
        ),
        (
            data("imagenet", validation={"size": 7, "by": "position", "drawn": DRAWN}),
            "data.validation.drawn",
            "by is position",
        ),
        (data("imagenet", download=True, validation={"size": 9}), "data.download", "cannot be downloaded"),
        (data("mnist", batch_size=50_001), "data.batch_size", "50000 training images"),
        (data("mnist", batch_size=100, train_limit=99), "data.train_limit", "batch of 100"),
        (data("imagenet", validation={"size": 9}, resize=200), "data.resize", "224"),
        (data("imagenet", validation={"size": 9}, normalize=["zca"]), "data.normalize.0", "small images"),
        (data("mnist", normalize=["gcn", "unit"]), "data.normalize.1", "not after gcn"),
        (data("mnist", normalize=["mean_std", "gcn"]), "data.normalize.1", "first"),
        (
            data("mnist", normalize=[{"name": "mean_std", "mean": [0, 0]}]),
            "data.normalize.0.mean",
            "1, not 2",
        ),
        (data("cifar10", normalize=[{"name": "mean_std", "std": [1.0]}]), "data.normalize.0.std", "3, not 1"),
        (data("mnist", normalize=[{"name": "lcn", "kernel": 4}]), "data.normalize.0.kernel", "odd"),
        (data("mnist", normalize=[{"name": "lcn", "kernel": 257}]), "data.normalize.0.kernel", "most 255"),
        (data("mnist", normalize=[{"name": "lcn", "threshold": 1e-40}]), "data.normalize.0.threshold", "30"),
        (data("mnist", normalize=[{"name": "gcn", "scale": 1e39}]), "data.normalize.0.scale", "1e+30"),
        (data("mnist", normalize=[{"name": "mean_std", "std": [1e-50]}]), "data.normalize.0.std", "1e-30"),
        (data("cifar10", image_size=224, normalize=["zca"]), "data.normalize.0", "150528"),
        (data("mnist", augment=[{"name": "pad_crop_flip", "pad": 29}]), "data.augment.0.pad", "side, 28"),
        (data("imagenet", validation={"size": 9}, resize=5000), "data.resize", "4096 is the most"),
        (
            data("imagenet", validation={"size": 9}, augment=[{"name": "resize_crop", "max_side": 5000}]),
            "data.augment.0.max_side",
            "at most 4096",
        ),
        (data("mnist", augment=["resize_crop"]), "data.augment.0", "pad_crop_flip"),
        (data("imagenet", validation={"size": 9}, augment=["pad_crop_flip"]), "data.augment.0", "small"),
        (
            data("imagenet", validation={"size": 9}, augment=["resize_crop", "random_resized_crop"]),
            "data.augment.1",
            "must come first",
        ),
        (
            data("imagenet", validation={"size": 9}, augment=[{"name": "resize_crop", "max_side": 240}]),
            "data.augment.0.min_side",
            "max_side, 240",
        ),
        (
            data("imagenet", validation={"size": 9}, augment=[{"name": "resize_crop", "min_side": 200}]),
            "data.augment.0.min_side",
            "224",
        ),
        # the network and its images
        (data("digits"), "model", "15×15"),
        (data("mnist", image_size=7), "data.image_size", "7×7"),
        ({"model": {"name": "resnet34", "stem": "imagenet"}}, "model", "32×32"),
        ({**data("synthetic", shape=[1, 32, 30])}, "model", "square"),
    ],
)
def test_what_cannot_work_is_told_at_its_key(sections: dict[str, Any], path: str, words: str) -> None:
    told = found(**sections)
    assert list(told) == [path]
    assert words in told[path]


def test_several_problems_are_told_together_with_their_lines(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(
        "method: bnn\n"
        "model: alexnet\n"
        "data:\n"
        "  name: mnist\n"
        "  extra: true\n"
        "optimizer:\n"
        "  name: sgd\n"
        "schedule: {name: cosine,\n"
        "  warmup: 99}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load(config, ["optimizer.nesterov=true"])
    places = [line.split(": ")[0].removeprefix(f"{config}:") for line in caught.value.problems]
    assert places == ["5", "--set optimizer.nesterov=true", "9"]
