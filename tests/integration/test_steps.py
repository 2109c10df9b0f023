"""The weights and numbers of a run against its loop written out once more, in plain torch."""

import copy
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnn_train.config.merge import merge
from bnn_train.config.schema import Adam, Experiment
from bnn_train.data.open import DataBundle, open_data
from bnn_train.data.randomness import stream_seed
from bnn_train.models.build import build
from bnn_train.training import checkpoint as ckpt
from bnn_train.training.losses import criterion
from bnn_train.training.run import start
from tiny import tiny

CPU = torch.device("cpu")
RATES: dict[str, Any] = {  # rate of (0-based step, epoch) where an epoch has five steps, and two epochs
    "constant": lambda lr, step, epoch: lr,
    "step": lambda lr, step, epoch: lr * 0.5**epoch,
    "linear": lambda lr, step, epoch: lr * (1 - step / 10) * min(1, (step + 1) / 5),
}

# A bias before a norm has no gradient but rounding noise, which Adam would make whole steps of: hence its ε.
ADAM = {"name": "adam", "lr": 0.01, "eps": 1e-3, "betas": (0.8, 0.95)}
CASES: dict[str, dict[str, Any]] = {
    "clipped latent weights": {"optimizer": ADAM | {"lr": 0.2}},
    "centred latent weights": {"method": "xnor", "optimizer": ADAM | {"lr": 0.2}},
    "drawn signs and dropout": {
        "method": "bnn_stochastic",
        "model": {"dropout": 0.5, "dropout_input": 0.2},
        "optimizer": ADAM,
    },
    "drawn weights": {"method": "bc_stochastic", "optimizer": ADAM},
    "momentum and decay of the real": {
        "method": "xnor",
        "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.1},
    },
    "rates scaled by the square": {"optimizer": {"name": "sgd", "lr": 1e-3}},
    "decay of the latent too": {
        "method": "bwn",
        "optimizer": {"name": "sgd", "lr": 0.1, "weight_decay_binary": 0.2},
    },
    "a rate for every epoch": {"schedule": {"name": "step", "factor": 0.5, "every": 1}, "optimizer": ADAM},
    "a rate for every step": {
        "schedule": {"name": "linear", "per": "step", "warmup": 1.0},
        "optimizer": ADAM,
    },
    "accumulated gradients": {
        "training": {"accumulate": 2},
        "data": {"train_limit": 70, "drop_last": False},  # steps of 32, 32 and 6 images
        "optimizer": {"name": "sgd", "lr": 0.01},
    },
    "unequal batches in one step": {  # the mean over images, not over batches
        "method": "fp",
        "training": {"accumulate": 5},
        "data": {"train_limit": 70, "drop_last": False},
        "optimizer": {"name": "sgd", "lr": 0.1},
    },
    "clipped gradients": {"training": {"clip_grad_norm": 0.02}, "optimizer": {"name": "sgd", "lr": 1.0}},
    "log odds that add up (ebp)": {
        "method": "ebp",
        "loss": "probit",
        "optimizer": "ebp",
        "training": {"accumulate": 2},
        "data": {"train_limit": 70, "drop_last": False},
    },
    "average": {"training": {"ema": 0.8}, "optimizer": ADAM},
    "average of drawn weights": {
        "method": "bc_stochastic",
        "training": {"ema": 0.8},
        "optimizer": ADAM,
    },
}


def hold(model: nn.Module, e: Experiment) -> None:
    """Centre over the input channels, then clip: every binary weight of these networks is a matrix."""
    for name, weight in model.named_parameters():
        if name in binary(model, e):
            if e.method.latent.center:
                weight.data -= weight.data.mean(dim=1, keepdim=True)
            if e.method.latent.clip is not None:
                weight.data = weight.data.clip(-e.method.latent.clip, e.method.latent.clip)


def binary(model: nn.Module, e: Experiment) -> set[str]:
    matrices = [name for name, p in model.named_parameters() if p.dim() == 2]
    if not e.method.weight.quantizer.quantizes:
        return set()
    return set(matrices[1:-1] if e.method.scope.real else matrices)


def optimizer_of(model: nn.Module, e: Experiment) -> tuple[torch.optim.Optimizer, list[float]]:
    """One group for each parameter, and the factor on its rate."""
    o, groups, factors = e.optimizer, [], []
    for name, p in model.named_parameters():
        latent = name in binary(model, e)
        decay = o.weight_decay_binary if latent else o.weight_decay
        groups.append({"params": [p], "weight_decay": decay})
        scale = (sum(p.shape) / 1.5) ** (1 if o.name == "sgd" else 0.5)
        factors.append(scale if latent and e.method.latent.lr_scale == "glorot" else 1.0)
    if o.name in ("sgd", "ebp"):
        return torch.optim.SGD(groups, lr=1.0, momentum=getattr(o, "momentum", 0.0)), factors
    assert isinstance(o, Adam)
    return torch.optim.Adam(groups, lr=1.0, betas=o.betas, eps=o.eps), factors


def batches(e: Experiment, data: DataBundle, epoch: int) -> Iterator[list[tuple[Tensor, Tensor]]]:
    every, size = list(data.train_batches(epoch)), e.training.accumulate
    yield from (every[at : at + size] for at in range(0, len(every), size))


History = list[dict[str, float]]


def replay(e: Experiment, data: DataBundle) -> tuple[nn.Sequential, nn.Sequential, History]:
    """The network after the run's steps, the moving average of it, and each epoch's numbers."""
    torch.manual_seed(stream_seed(e.seed, "init"))
    model = build(e.model, e.method, data.shape, len(data.classes)).train()
    assert isinstance(model, nn.Sequential)
    hold(model, e)
    average = copy.deepcopy(model)
    optimizer, factors = optimizer_of(model, e)
    loss_of, step, history = criterion(e.loss), 0, []
    for epoch in range(e.training.epochs):
        before, seen = signs(model, e), []
        for group in batches(e, data, epoch):
            torch.manual_seed(stream_seed(e.seed, "step", step))
            optimizer.zero_grad()
            images = sum(len(labels) for _, labels in group)
            for x, labels in group:
                logits = model(x)
                loss = loss_of(logits, labels)
                (loss * len(labels) / images).backward()
                right = int((logits.argmax(dim=1) == labels).sum())
                seen.append((loss.item() * len(labels), right, len(labels)))
            if e.training.clip_grad_norm:
                clip(model, e.training.clip_grad_norm)
            rate = RATES[e.schedule.name](e.optimizer.lr, step, epoch)
            for part, factor in zip(optimizer.param_groups, factors, strict=True):
                part["lr"] = rate * factor * (images if e.optimizer.name == "ebp" else 1)
            optimizer.step()
            hold(model, e)
            blend(average, model, e.training.ema if step else 0.0)
            step += 1
        if e.method.norm.reestimate:
            normalize_anew(average if e.training.ema else model, data)
        losses, rights, counts = (sum(column) for column in zip(*seen, strict=True))
        entry = {"lr": rate, "train_loss": losses / counts, "train_top1": 100 * rights / counts}
        if len(before):
            entry["flip_rate"] = float((signs(model, e) != before).float().mean())
        history.append(entry)
    return model, average, history


def signs(model: nn.Module, e: Experiment) -> Tensor:
    parts = [p.detach().flatten() < 0 for name, p in model.named_parameters() if name in binary(model, e)]
    return torch.cat(parts) if parts else torch.empty(0)


@torch.no_grad()
def normalize_anew(model: nn.Sequential, data: DataBundle) -> None:
    """Statistics of all training images in one batch, layer by layer, with the weights of evaluation."""
    [(x, _)] = data.eval_batches("train")
    for module in model.eval():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean, module.running_var = x.mean(dim=0), x.var(dim=0)
            x = F.batch_norm(x, None, None, module.weight, module.bias, training=True, eps=module.eps)
        else:
            x = module(x)
    model.train()


@torch.no_grad()
def loss_and_right(model: nn.Module, e: Experiment, data: DataBundle, split: str) -> tuple[float, int]:
    [(images, labels)] = data.eval_batches(split)
    logits = model.eval()(images)
    return float(criterion(e.loss)(logits, labels)), int((logits.argmax(dim=1) == labels).sum())


def clip(model: nn.Module, most: float) -> None:
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    norm = torch.cat([g.flatten() for g in gradients]).norm()
    assert norm > most
    for g in gradients:
        g *= most / norm


def blend(average: nn.Module, model: nn.Module, keep: float) -> None:
    for mean, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        mean.copy_(keep * mean + (1 - keep) * new if mean.is_floating_point() else new)


@pytest.mark.parametrize("name", CASES)
def test_a_run_is_these_steps(name: str, tmp_path: Path) -> None:
    e = tiny(tmp_path / "run", **merge(CASES[name], {"training": {"select": "last"}}))
    report = start(e)
    got = ckpt.read(tmp_path / "run" / "checkpoints" / ckpt.LAST)
    data = open_data(e.data, seed=e.seed, device=CPU)
    model, average, history = replay(e, data)
    assert_same(got.section("model"), model)
    if e.training.ema:
        assert_same(got.section("ema.module"), average)
    evaluated = average if e.training.ema else model
    loss, right = loss_and_right(evaluated, e, data, "test")
    assert (report["loss"], report["correct"]) == (pytest.approx(loss, rel=1e-4), right)
    loss, right = loss_and_right(evaluated, e, data, "validation")
    for entry, expected in zip(report["history"], history, strict=True):
        assert {key: entry[key] for key in expected} == pytest.approx(expected, rel=1e-4)
        assert ("flip_rate" in entry) == ("flip_rate" in expected)
    last = report["history"][-1]
    assert (last["validation_loss"], last["validation_top1"]) == (pytest.approx(loss, rel=1e-4), 2.5 * right)


def assert_same(got: dict[str, Tensor], model: nn.Module) -> None:
    expected = model.state_dict()
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        if "tracked" in name:
            continue
        torch.testing.assert_close(got[name], value, rtol=1e-4, atol=1e-5, msg=partial("{}: {}".format, name))
