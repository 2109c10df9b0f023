"""``bnn-train --check``: exit codes, nothing left behind, and shipped configs without a fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bnn_train.cli.train import main
from bnn_train.config.loader import load
from bnn_train.spec.datasets import DATASETS
from shipped import PATHS, label, trial, write_sets
from tiny_yaml import files, refused, write_config

NAMES = [
    "data files", "data labels", "data first batch", "data pixels", "data normalized", "norm before sign",
    "activations", "norm γ and β", "sign ties", "latent weights", "latent balance", "forward pass",
    "gradient", "first loss", "flips", "latent step", "overfits one batch", "real-valued twin",
]  # fmt: skip
CLEAR = "model={name: mlp, width: 64, depth: 2}"
"""Wide enough that no instrument looks twice."""


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Verdict by instrument."""
    found = {}
    for line in capsys.readouterr().out.splitlines():
        verdict, _, rest = line.partition("  ")
        if verdict.strip() in ("ok", "look", "wrong"):
            found[rest.strip().partition("  ")[0]] = verdict.strip()
    return found


def test_a_sound_config(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(write_config(workdir))
    before = files(workdir)
    assert main(["--config", config, "--set", CLEAR, "--check"]) == 0
    first = said(capsys)
    assert list(first) == NAMES
    assert {name for name, verdict in first.items() if verdict != "ok"} == {"data files", "real-valued twin"}
    assert files(workdir) == before


def test_it_says_the_same_again(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--config", str(write_config(workdir)), "--check"]
    outputs = []
    for _ in range(2):
        main(arguments)
        outputs.append(capsys.readouterr().out.splitlines()[:-1])  # the last line tells the time
    assert outputs[0] == outputs[1]


def test_a_fault_gives_exit_code_1(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(write_config(workdir))
    assert main(["--config", config, "--set", CLEAR, "--set", "optimizer.lr=1.0e-12", "--check"]) == 1
    found = said(capsys)
    assert found["flips"] == "wrong"
    assert found["gradient"] == "ok"


def test_bad_input_gives_exit_code_2(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(write_config(workdir))
    assert "no such file" in refused(["--config", "nowhere.yaml", "--check"], capsys)
    assert "nowhere" in refused(["--config", config, "--resume", "nowhere", "--check"], capsys)
    data = ["--set", "data={name: mnist, root: nowhere, download: true}"]
    assert "nowhere" in refused(["--config", config, *data, "--check"], capsys)


@pytest.mark.parametrize("given", [[], ["--set", "training.epochs=5"]], ids=str)
def test_a_run(given: list[str], run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(Path())
    assert main(["--resume", str(run), *given, "--check"]) == 0
    found = said(capsys)
    assert list(found) == [name if name != "first loss" else "loss" for name in NAMES]
    assert files(Path()) == before


def test_a_damaged_checkpoint_is_told(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The newest is 10 bytes short; the one before it is of the first of two epochs, of 5 steps each."""
    last = run / "checkpoints" / "last.safetensors"
    last.write_bytes(last.read_bytes()[:-10])
    main(["--resume", str(run), "--check"])
    out, err = capsys.readouterr()
    assert "after step 5" in out.splitlines()[0]
    assert f"warning: {last}: damaged" in err


def test_a_run_under_another_config_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "optimizer.lr" in refused(["--resume", str(run), "--set", "optimizer.lr=0.5", "--check"], capsys)


WIDTHS = {"mlp": 64, "vgg_small": 16, "alexnet": 0.1, "resnet20": 16, "resnet18": 8, "convnet": 16}
FAST = ("mnist/bnn_mlp", "mnist/xnor_lenet5", "cifar10/bnn_vgg_small")
SHIPPED = (
    *FAST,
    "cifar10/xnor_resnet20",
    "cifar10/bireal_resnet20",
    "svhn/bc_alexnet",
    "imagenet/bwn_resnet18",
)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Noise in the official formats, and a catalog that describes it."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("sets")
        write_sets(root, patch)
        for name in ("mnist", "cifar10", "svhn"):
            row = DATASETS[name].model_copy(update={"mean": (0.5,), "std": (0.289,)})  # of uniform bytes
            patch.setitem(DATASETS, name, row)
        yield root


@pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in SHIPPED]
)
def test_shipped_configs_are_sound(
    name: str, sets: Path, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = next(path for path in PATHS if label(path) == name)
    width = WIDTHS.get(load(path).model.name)
    changes: dict[str, Any] = {"data.batch_size": 9, "data.train_limit": "null", "training.epochs": 50}
    changes |= {"model.width": width} if width else {}
    assert main([*trial(path, sets, workdir / "run", **changes), "--check"]) == 0, capsys.readouterr().out
    found = said(capsys)
    assert [found[key] for key in ("forward pass", "gradient")] == ["ok", "ok"]
    if not name.startswith("imagenet"):
        assert [found[key] for key in ("data pixels", "data normalized")] == ["ok", "ok"]
    assert list(workdir.iterdir()) == []
