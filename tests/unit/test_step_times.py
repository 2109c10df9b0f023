"""Where the time of training steps goes: every layer and phase is told, and nothing is trained or written."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bnn_train.check.step_times import DATA, REST, step_times
from bnn_train.check.subject import open_subject
from bnn_train.cli.train import main
from bnn_train.config.loader import load_settings
from bnn_train.training.step import PHASES

SETTINGS = [
    "method=xnor",
    "model={name: mlp, width: 8}",
    "data={name: digits, batch_size: 20}",
    "training={epochs: 1, accumulate: 2}",
]


def test_every_layer_and_phase_has_its_time() -> None:
    subject = open_subject(load_settings(SETTINGS), None, None)
    before = {name: tensor.clone() for name, tensor in subject.model.state_dict().items()}
    times = step_times(subject, 2)
    assert times.images == 40
    assert list(times.phases) == [DATA, *PHASES, REST]
    assert min(times.phases[name] for name in (DATA, *PHASES)) > 0
    products = {name: both for name, both in times.layers.items() if name.endswith(" BinaryLinear")}
    assert [name.split()[0] for name in products] == ["linear2", "linear3"]
    norms = [name for name in times.layers if name.endswith(" BatchNorm1d")]
    assert norms
    assert all(forward > 0 and backward > 0 for forward, backward in products.values())
    assert all(times.layers[name][1] > 0 for name in norms)
    calls = {name: count for name, _, count in times.operations}
    assert calls["aten::native_batch_norm_backward"] == 2 * len(norms)  # two batches a step
    spent = sum(map(sum, times.layers.values()))
    assert spent == pytest.approx(times.phases["forward"] + times.phases["backward"], rel=0.01)
    after = subject.model.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_the_command_prints_tables_and_writes_nothing(
    workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [word for setting in SETTINGS for word in ("--set", setting)]
    assert main([*arguments, "--profile", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    heads = [line.split()[0] for line in lines if line.endswith(("share", "calls"))]
    assert heads == ["phase", "layer", "operation,"]
    assert list(workdir.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--profile", "2"], "give --config F"),
        (["--profile", "2", "--resume", "run"], "goes without --resume"),
        (["--set", "method=bnn", "--profile", "0"], "must be at least 1"),
    ],
)
def test_mistakes(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(arguments)
    except SystemExit as stopped:
        code = int(str(stopped.code))
    assert code == 2
    assert sentence in capsys.readouterr().err
