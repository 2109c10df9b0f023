"""A pass over a split: evaluation mode, every image once, nothing changed; norms anew for other weights."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnn_train.binary.factory import Layers
from bnn_train.spec.methods import METHODS
from bnn_train.training.evaluate import evaluate, evaluating, reestimate_norms

BATCHES = [
    (torch.randn(n, 6, generator=torch.Generator().manual_seed(n)), torch.arange(n) % 3) for n in (7, 7, 4)
]


def network() -> nn.Sequential:
    """Statistics and weights far from their start, and dropout, so that the two modes differ."""
    model = nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    assert isinstance(model[1], nn.BatchNorm1d)
    model[1].running_mean = torch.tensor([0.3, -0.2, 0.1])
    model[1].running_var = torch.tensor([0.5, 2.0, 1.5])
    return model


def test_evaluation_uses_running_statistics_and_no_dropout() -> None:
    model = network()
    before = copy.deepcopy(model.state_dict())
    result = evaluate(model.train(), BATCHES, classes=3, criterion=F.cross_entropy)
    linear = model[0]
    assert isinstance(linear, nn.Linear)
    x = torch.cat([images for images, _ in BATCHES]).numpy()
    labels = torch.cat([labels for _, labels in BATCHES])
    y = x @ linear.weight.detach().numpy().T + linear.bias.detach().numpy()
    y = (y - before["1.running_mean"].numpy()) / np.sqrt(before["1.running_var"].numpy() + 1e-5)
    assert (result.total, result.top1_correct) == (18, int((y.argmax(axis=1) == labels.numpy()).sum()))
    assert result.loss == pytest.approx(float(F.cross_entropy(torch.from_numpy(y), labels)), rel=1e-5)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert model.training
    evaluate(model.eval(), BATCHES, classes=3, criterion=F.cross_entropy)
    assert not model.training


def test_no_gradients_inside_and_the_mode_is_put_back_after_a_failure() -> None:
    model = network().train()

    def fail() -> None:
        with evaluating(model):
            assert not torch.is_grad_enabled()
            assert not model.training
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert model.training
    assert torch.is_grad_enabled()


def statistics(outputs: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The plain mean over the batches of their means and unbiased variances."""
    mean = torch.stack([y.mean(dim=0) for y in outputs]).mean(dim=0)
    return mean, torch.stack([y.var(dim=0) for y in outputs]).mean(dim=0)


def test_norms_are_reestimated_from_the_test_time_weights() -> None:
    """Stochastic BinaryConnect trains with drawn signs and tests with the latent weights."""
    layers = Layers(METHODS["bc_stochastic"])
    model = nn.Sequential(layers.linear("first", 6, 3), layers.norm1d(3), nn.Dropout(0.5)).train()
    linear: Any = model[0]
    norm = model[1]
    assert isinstance(norm, nn.BatchNorm1d)
    for images, _ in BATCHES:
        model(images)
    weights = copy.deepcopy(dict(model.named_parameters()))
    reestimate_norms(model, BATCHES)
    with torch.no_grad():
        mean, variance = statistics([F.linear(x, linear.weight, linear.bias) for x, _ in BATCHES])
    torch.testing.assert_close(norm.running_mean, mean)
    torch.testing.assert_close(norm.running_var, variance)
    assert norm.momentum == METHODS["bc_stochastic"].norm.momentum
    assert all(module.training for module in model.modules())
    assert all(torch.equal(weights[name], p) for name, p in model.named_parameters())


def test_norms_further_back_see_the_normalized_maps_without_dropout() -> None:
    model = nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3), nn.Dropout(0.9), nn.BatchNorm1d(3)).train()
    reestimate_norms(model, BATCHES)
    last = model[3]
    assert isinstance(last, nn.BatchNorm1d)
    assert last.running_mean is not None
    assert last.running_var is not None
    torch.testing.assert_close(last.running_mean, torch.zeros(3), atol=1e-5, rtol=0)
    expected = np.mean([n / (n - 1) for n in (7, 7, 4)])  # each batch has variance 1, unbiased n/(n−1)
    torch.testing.assert_close(last.running_var, torch.full((3,), float(expected)).float(), rtol=1e-3, atol=0)
