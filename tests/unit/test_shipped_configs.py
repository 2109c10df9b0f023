"""Shipped configs by name, from anywhere; copies of them; and experiments that need no file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bnn_train.__main__ import main as module
from bnn_train.cli.train import main as train
from bnn_train.config.loader import load, load_settings
from bnn_train.config.shipped import FOLDER, named, resolved, shipped
from bnn_train.errors import ConfigError
from bnn_train.spec.methods import ENTRIES
from tiny_yaml import errors, refused

ROOT = Path(__file__).resolve().parents[2]
Capture = pytest.CaptureFixture[str]
NAME = "mnist/bnn_mlp"


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test starts in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("word", [NAME, f"{NAME}.yaml", f"configs/{NAME}.yaml", "bnn_mlp.yaml", "bnn_mlp"])
def test_a_name_means_the_shipped_config(word: str) -> None:
    assert resolved(word) == FOLDER / "mnist" / "bnn_mlp.yaml"
    assert load(word).run.dir == "runs/mnist/bnn_mlp"


def test_every_shipped_config_is_found_by_its_name() -> None:
    assert len(shipped()) == len(list((ROOT / "configs").rglob("*.yaml")))
    assert all(named(name) == path for name, path in shipped().items())


def test_a_path_goes_first(empty: Path) -> None:
    (empty / "mnist").mkdir()
    assert resolved("mnist/bnn_mlp").is_absolute()
    (empty / "mnist" / "bnn_mlp").write_text("method: fp\nmodel: mlp\ndata: mnist\n")
    assert resolved("mnist/bnn_mlp") == Path("mnist/bnn_mlp")
    assert load("mnist/bnn_mlp").method.name == "fp"


def test_a_folder_of_that_name_is_no_config(empty: Path) -> None:
    (empty / "quickstart").mkdir()
    assert load("quickstart").data.name == "digits"


def test_a_name_that_several_have(capsys: Capture) -> None:
    told = refused(["--config", "fp_convnet", "--print-config"], capsys)
    assert "fp_convnet: no such file" in told
    assert "cifar10/fp_convnet, svhn/fp_convnet" in told


@pytest.mark.parametrize(
    ("word", "meant"), [("quickstat", "quickstart"), ("bnn_mpl.yaml", "mnist/bnn_mlp"), ("zzz", None)]
)
def test_a_misspelled_name(word: str, meant: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        load(word)
    assert str(caught.value) == f"{word}: no such file" + (f" (did you mean {meant}?)" if meant else "")


def test_an_own_config_extends_a_shipped_one(empty: Path) -> None:
    (empty / "own.yaml").write_text("extends: mnist/bnn_mlp\nseed: 5\n")
    assert load("own.yaml").model_copy(update={"seed": 1, "run": load(NAME).run}) == load(NAME)
    (empty / "mnist").mkdir()
    (empty / "mnist" / "bnn_mlp").write_text("method: fp\nmodel: mlp\ndata: mnist\n")
    assert load("own.yaml").method.name == "fp"


# --------------------------------------------------------------------------------- --copy-config


@pytest.mark.parametrize("name", ["quickstart", "digits/fp", "svhn/fp_alexnet", "imagenet/xnor_resnet18"])
def test_a_copy_says_the_same(name: str, capsys: Capture) -> None:
    """Where it extends another it does so by name, wherever it lies."""
    assert train(["--copy-config", name, "deep/er"]) == 0
    copy = Path("deep/er", f"{name.rpartition('/')[2]}.yaml")
    assert capsys.readouterr().out == f"{copy}: train it with bnn-train --config {copy}\n"
    assert load(copy).model_copy(update={"run": load(name).run}) == load(name)


def test_where_a_copy_goes(empty: Path) -> None:
    assert train(["--copy-config", "bnn_mlp"]) == 0
    assert train(["--copy-config", "bnn_mlp", "mine.yaml"]) == 0
    (empty / "there").mkdir()
    assert train(["--copy-config", NAME, "there"]) == 0
    found = {path.relative_to(empty).as_posix() for path in empty.rglob("*.yaml")}
    assert found == {"bnn_mlp.yaml", "mine.yaml", "there/bnn_mlp.yaml"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["quickstar"], "--copy-config quickstar: no such shipped config; did you mean quickstart?"),
        (["zzz"], "--copy-config zzz: no such shipped config; bnn-train --list names them"),
        (["quickstart", "taken.yaml"], "taken.yaml: exists already; name another place"),
    ],
)
def test_copies_that_are_refused(words: list[str], told: str, empty: Path, capsys: Capture) -> None:
    (empty / "taken.yaml").write_text("precious")
    assert told in refused(["--copy-config", *words], capsys)


def test_too_many_places() -> None:
    with pytest.raises(SystemExit):
        train(["--copy-config", "quickstart", "a", "b"])


# --------------------------------------------------------------------------------- without a file


def test_settings_alone_are_an_experiment(capsys: Capture) -> None:
    settings = ["method=xnor", "model=mlp", "data=digits", "optimizer.lr=1e-3"]
    experiment = load_settings(settings)
    assert (experiment.method.name, experiment.run.dir) == ("xnor", "runs/digits/xnor_mlp")
    assert (experiment.optimizer.name, experiment.optimizer.lr) == ("adam", 1e-3)
    words = [part for setting in settings for part in ("--set", setting)]
    assert train([*words, "--print-config"]) == 0
    assert "dir: runs/digits/xnor_mlp" in capsys.readouterr().out


def test_settings_that_are_no_experiment(capsys: Capture) -> None:
    told = errors(train, ["--set", "method=bnn", "--set", "model=alexnett"], capsys)
    assert told[0].startswith(
        "--set model=alexnett: model: unknown network 'alexnett' (did you mean alexnet?)"
    )
    assert told[1:] == ["--set: data: is missing"]


def test_the_default_optimizer_need_not_be_named(empty: Path) -> None:
    (empty / "c.yaml").write_text("method: bnn\nmodel: mlp\ndata: digits\noptimizer: {lr: 0.5}\n")
    for path, settings in (("c.yaml", []), ("quickstart", ["optimizer.lr=0.5"])):
        optimizer = load(path, settings).optimizer
        assert (optimizer.name, optimizer.lr) == ("adam", 0.5)


# ------------------------------------------------------------------------------------------ hints

_HINT = re.compile(r"--config[ =]([\w./-]*\w)")
_OWN = ("configs/mnist/stepped_alexnet.yaml", "configs/student.yaml")
"""Those that a page has the reader write."""


def hints() -> Iterator[tuple[str, str]]:
    """What follows ``--config`` on pages, in the package's sentences and in the head of each config."""
    files = [
        *ROOT.glob("*.md"),
        *(path for end in ("py", "md") for path in (ROOT / "bnn_train").rglob(f"*.{end}")),
        *(path for end in ("yaml", "md") for path in (ROOT / "configs").rglob(f"*.{end}")),
    ]
    for path in files:
        for word in _HINT.findall(path.read_text(encoding="utf-8")):
            yield word, str(path.relative_to(ROOT))


def test_every_hint_names_a_config() -> None:
    """A page may have the reader write files of bare names."""
    found = [
        hint for hint in hints() if "/" in hint[0] or (hint[1].endswith(".py") and hint[0].endswith(".yaml"))
    ]
    assert len(found) > 100
    assert [hint for hint in found if hint[0] not in _OWN and not resolved(hint[0]).is_file()] == []
    assert all(resolved(entry.start).is_file() for entry in ENTRIES.values())


def test_the_package_is_a_command(capsys: Capture) -> None:
    assert module(["--config", "quickstart", "--print-config"]) == 0
    assert capsys.readouterr().out.startswith("method:\n  name: bnn\n")
    with pytest.raises(SystemExit) as left:
        module(["export", "--help"])
    assert left.value.code == 0
    assert capsys.readouterr().out.startswith("usage: bnn-export")
