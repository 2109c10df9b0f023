"""Rules of the authors' own code that a config may follow: what is clipped, how weights begin, thresholds,
what an average holds and which loss an evaluation reports."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from bnn_train.binary.estimators import ESTIMATORS
from bnn_train.binary.latent import enforce
from bnn_train.binary.layers import BinaryLayer
from bnn_train.binary.weight_quantizer import WeightQuantizer
from bnn_train.config.checks import problems
from bnn_train.config.loader import from_mapping
from bnn_train.models.build import build
from bnn_train.spec import estimators as spec
from bnn_train.spec.learning import CrossEntropy, SquareHinge
from bnn_train.spec.method import LatentSpec, Method, WeightSpec
from bnn_train.spec.methods import METHODS
from bnn_train.spec.networks import NETWORKS
from bnn_train.spec.quantizers import Ternary
from bnn_train.training.losses import criterion
from bnn_train.training.run import start
from bnn_train.training.setup import averaging, build_learner, build_model
from tiny import tiny

SHAPE = (1, 16, 16)


def network(method: Method, name: str = "lenet5", **options: Any) -> nn.Module:
    return build(NETWORKS[name].model_validate({"name": name, **options}), method, SHAPE, 3)  # type: ignore[arg-type]  # of a table


def clipping(*, everything: bool, bound: float = 1.0) -> Method:
    latent = LatentSpec(init="uniform", clip=bound, clip_all=everything)
    return METHODS["bnn"].model_copy(update={"latent": latent})


def spread(model: nn.Module) -> dict[str, np.ndarray]:
    """Every parameter over −3 to 3, and a NaN: what they were."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(-3, 3).view(-1)[0] = math.nan
    return {name: p.detach().numpy().copy() for name, p in model.named_parameters()}


@pytest.mark.parametrize("bound", [1.0, 0.25])
def test_every_parameter_is_clipped_where_the_recipe_says_so(bound: float) -> None:
    """Weights, biases, γ and β, the output norm's among them; NaN stays, for whoever looks for it."""
    model = network(clipping(everything=True, bound=bound))
    before = spread(model)
    enforce(model)
    assert any(name.endswith("bias") for name in before)
    assert len(before) > 10
    for name, parameter in model.named_parameters():
        np.testing.assert_array_equal(parameter.detach().numpy(), np.clip(before[name], -bound, bound))


def test_otherwise_only_latent_weights_are() -> None:
    model = network(clipping(everything=False))
    before = spread(model)
    enforce(model)
    latent = {f"{name}.weight" for name, m in model.named_modules() if isinstance(m, BinaryLayer)}
    assert latent < before.keys()
    for name, parameter in model.named_parameters():
        expected = np.clip(before[name], -1, 1) if name in latent else before[name]
        np.testing.assert_array_equal(parameter.detach().numpy(), expected)


def largest(folder: Path) -> float:
    """Of all the parameters at the end of a run."""
    tensors = load_file(folder / "checkpoints" / "last.safetensors")
    kept = (".weight", ".bias")
    return max(
        float(t.abs().max()) for n, t in tensors.items() if n.startswith("model.") and n.endswith(kept)
    )


def test_clipping_everything_binds_in_training(tmp_path: Path) -> None:
    """At this rate γ leaves [−1, 1] within a few steps."""
    for everything in (True, False):
        method = {"name": "bnn", "latent": {"clip_all": everything}}
        optimizer = {"name": "adam", "lr": 0.3}
        start(tiny(tmp_path / str(everything), method=method, optimizer=optimizer, training={"epochs": 1}))
    assert largest(tmp_path / "True") == 1.0 < largest(tmp_path / "False")


@pytest.mark.parametrize(
    ("name", "latent", "key", "told"),
    [
        ("bnn", {"clip_all": True, "clip": None}, "method.latent.clip_all", "needs the bound of latent.clip"),
        ("fp", {"clip_all": True, "clip": 1.0}, "method.latent.clip_all", "has no effect"),
    ],
)
def test_clipping_everything_needs_a_bound_and_a_quantizer(
    name: str, latent: dict[str, Any], key: str, told: str
) -> None:
    wanted = {"method": {"name": name, "latent": latent}, "model": "mlp", "data": "digits"}
    found = {".".join(map(str, path)): sentence for path, sentence in problems(from_mapping(wanted))}
    assert told in found[key]


@pytest.mark.parametrize(
    ("init", "deviation"),
    [
        ("glorot_uniform", lambda fan_in, fan_out: math.sqrt(2 / (fan_in + fan_out))),
        ("glorot_normal", lambda fan_in, fan_out: math.sqrt(2 / (fan_in + fan_out))),
        ("torch", lambda fan_in, fan_out: math.sqrt(1 / (3 * fan_in))),
    ],
)
@pytest.mark.parametrize("name", ["alexnet", "resnet20"])
def test_real_layers_begin_as_asked(init: str, deviation: Any, name: str) -> None:
    """And only they: binary layers begin as the method says, with the same draws as before."""
    models = []
    for choice in ("own", init):
        torch.manual_seed(0)
        models.append(network(METHODS["xnor"], name, init=choice, width=0.25 if name == "alexnet" else 16))
    own, chosen = (dict(model.named_modules()) for model in models)
    for key, layer in chosen.items():
        if isinstance(layer, BinaryLayer):
            assert torch.equal(layer.weight, own[key].weight)
        elif isinstance(layer, nn.Conv2d | nn.Linear):
            w = layer.weight.detach()
            taps = w[0, 0].numel()
            wanted = deviation(w.shape[1] * taps, w.shape[0] * taps)
            slack = 6 / math.sqrt(w.numel())
            assert float(w.square().mean().sqrt()) == pytest.approx(wanted, rel=slack)
            assert layer.bias is None or not layer.bias.any()


def test_latent_weights_begin_as_pytorchs() -> None:
    """U(±1/√fan_in), whose deviation is √6 below that of ``he_in``."""
    torch.manual_seed(0)
    method = METHODS["xnor"].model_copy(update={"latent": LatentSpec(init="torch")})
    for module in network(method).modules():
        if isinstance(module, BinaryLayer):
            bound = module.weight[0].numel() ** -0.5
            assert 0.99 * bound < float(module.weight.detach().abs().max()) <= bound
            assert float(module.weight.detach().std()) == pytest.approx(bound / math.sqrt(3), rel=0.03)


WINDOWS = [spec.Clip(), spec.Clip(bound=1.25), spec.ClipOpen(), spec.Unit(), spec.PositiveWindow()]


@pytest.mark.parametrize("estimator", WINDOWS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_nan_has_slope_0_at_every_place(estimator: Any, dtype: torch.dtype) -> None:
    """In the lanes of a vector as in the rest of a tensor, and where it has strides."""
    made = ESTIMATORS.build(estimator)
    for length in range(1, 41):
        x = torch.full((length, length), 0.5, dtype=dtype)
        x.fill_diagonal_(math.nan)  # each row has it at another place
        expected = 1 - torch.eye(length, dtype=dtype)
        for row, slope in zip(x, expected, strict=True):
            assert torch.equal(made.slope(torch.ones_like(row), row), slope)
        assert torch.equal(made.slope(torch.ones_like(x), x), expected)
        assert torch.equal(made.slope(torch.ones_like(x)[:, ::2], x[:, ::2]), expected[:, ::2])


@pytest.mark.parametrize("estimator", WINDOWS, ids=str)
def test_infinity_has_slope_0(estimator: Any) -> None:
    x = torch.tensor([math.inf, -math.inf] * 20)
    assert not ESTIMATORS.build(estimator).slope(torch.ones_like(x), x).any()


def ternary(w: np.ndarray, fixed: float) -> np.ndarray:
    with torch.no_grad():
        axes = WeightSpec(quantizer=Ternary(fixed=fixed))
        found = WeightQuantizer(axes, torch.from_numpy(w), centered=False)(torch.from_numpy(w))
    return np.asarray(found)


@pytest.mark.parametrize("fixed", [0.0, 0.05, 0.5])
def test_a_fixed_ternary_threshold(fixed: float) -> None:
    """0 up to and with it, whatever the mean is; Larq has ±1 on it."""
    edge = np.float32(fixed)
    beyond = np.nextafter(edge, np.float32(9), dtype=np.float32)
    w = np.array([[edge, -edge, beyond, -beyond, 9, -9], [0.0, -0.0, 0.01, -0.01, 0.1, -1]], np.float32)
    expected = np.where(w > edge, 1, np.where(w < -edge, -1, 0))
    np.testing.assert_array_equal(ternary(w, fixed), expected)
    np.testing.assert_array_equal(ternary(w[:1], fixed), expected[:1])  # alone: another mean, the same codes


def test_an_average_counts_the_batches_that_the_model_has_seen(tmp_path: Path) -> None:
    experiment = tiny(tmp_path, training={"ema": 0.9})
    device = torch.device("cpu")
    learner = build_learner(experiment, build_model(experiment, (1, 8, 8), 4, device), device)
    assert learner.average is not None
    norm = next(name for name, m in learner.model.named_modules() if isinstance(m, nn.BatchNorm1d))
    mean = learner.model.get_submodule(norm).running_mean
    assert isinstance(mean, torch.Tensor)
    averages: list[float] = []
    for number in range(1, 6):
        learner.model.get_submodule(norm).num_batches_tracked.fill_(number)  # type: ignore[operator]  # a buffer
        mean.fill_(number)
        learner.average.update_parameters(learner.model)
        averages.append(number if not averages else 0.9 * averages[-1] + 0.1 * number)
    averaged = learner.evaluated.get_submodule(norm)
    assert int(averaged.num_batches_tracked) == 5  # type: ignore[arg-type]  # a buffer
    assert float(averaged.running_mean[0]) == pytest.approx(averages[-1])  # type: ignore[index]  # a buffer


def test_whole_numbers_are_copied_and_others_averaged() -> None:
    kept, seen = [torch.tensor([1, 2])], [torch.tensor([7, 9])]
    averaging(0.9)(kept, seen, 1)
    assert kept[0].tolist() == [7, 9]
    real = [torch.tensor([1.0, 2.0])]
    averaging(0.75)(real, [torch.tensor([5.0, 2.0])], 1)
    assert real[0].tolist() == [2.0, 2.0]


def test_evaluations_report_the_loss_without_label_smoothing(tmp_path: Path) -> None:
    smooth = criterion(CrossEntropy(name="cross_entropy", label_smoothing=0.3))
    logits, labels = torch.randn(9, 4, generator=torch.Generator().manual_seed(0)), torch.arange(9) % 4
    assert float(smooth.scored(logits, labels)) == float(F.cross_entropy(logits, labels))
    assert float(smooth(logits, labels)) != float(smooth.scored(logits, labels))
    hinge = criterion(SquareHinge(name="square_hinge"))
    assert hinge.scored is hinge
    reports = []
    for share in (0.0, 0.3):
        loss = {"name": "cross_entropy", "label_smoothing": share}
        reports.append(start(tiny(tmp_path / str(share), loss=loss, optimizer={"name": "sgd", "lr": 1e-30})))
    plain, smoothed = reports  # nothing was learned: the same network
    assert plain["loss"] == smoothed["loss"]
    first, second = plain["history"][0], smoothed["history"][0]
    assert first["validation_loss"] == second["validation_loss"]
    assert first["train_loss"] != second["train_loss"]
