"""Loading: extends, overrides, the place of every key, the default run folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from bnn_train.config.loader import load, override
from bnn_train.config.schema import Bop
from bnn_train.errors import ConfigError
from bnn_train.spec.methods import METHODS
from make_config import BASE, mistake, mistakes, write


@pytest.fixture(autouse=True)
def _here(workdir: Path) -> None:
    """Relative paths, as a user types them."""


def test_child_lies_over_parents_key_by_key() -> None:
    write("base/a.yaml", BASE + "training: {epochs: 7, select: last}\nseed: 3\n")
    write("base/b.yaml", "extends: a.yaml\nseed: 4\n")
    child = write("child/c.yaml", "extends: [../base/a.yaml, ../base/b.yaml]\ntraining: {epochs: 9}\n")
    experiment = load(child)
    assert experiment.seed == 4
    assert (experiment.training.epochs, experiment.training.select) == (9, "last")
    assert experiment.optimizer.lr == 0.001


def test_another_name_replaces_the_section_and_the_same_name_refines_it() -> None:
    write("a.yaml", BASE)
    other = load(write("b.yaml", "extends: a.yaml\noptimizer: {name: sgd}\nmodel: {depth: 2}\n"))
    assert other.optimizer.name == "sgd"
    assert (other.model.name, other.model.width, other.model.depth) == ("mlp", 64, 2)  # type: ignore[union-attr]


def test_options_can_be_laid_over_a_bare_name() -> None:
    write("a.yaml", BASE)
    experiment = load(write("b.yaml", "extends: a.yaml\nmethod: {latent: {clip: 0.5}}\n"))
    assert experiment.method.name == "bnn"
    assert experiment.method.latent.clip == 0.5
    assert experiment.method.weight == METHODS["bnn"].weight


def test_a_circle_is_told_with_its_chain() -> None:
    write("a.yaml", "extends: b.yaml\n")
    write("b.yaml", "# the way back\nextends: [c.yaml]\n")
    write("c.yaml", "extends: ./a.yaml\n")
    with pytest.raises(ConfigError) as caught:
        load("a.yaml")
    assert str(caught.value).startswith("c.yaml:1: extends: ")
    assert "a.yaml → b.yaml → c.yaml → a.yaml" in str(caught.value)


def test_missing_parent_is_told_where_it_is_named() -> None:
    write("base_mlp.yaml", BASE)
    told = mistake("seed: 1\nextends: base_mpl.yaml\n")
    assert told.startswith("c.yaml:2: extends: no such file: base_mpl.yaml")
    assert "did you mean base_mlp.yaml?" in told


@pytest.mark.parametrize("extends", ["3", "[a.yaml, 3]", "{a: b}", "", "['']"])
def test_extends_must_hold_paths(extends: str) -> None:
    assert "must be a path or a list of paths" in mistake(f"extends: {extends}\n")


def test_missing_config_is_told_with_its_neighbour() -> None:
    write("configs/bnn_mlp.yaml", BASE)
    with pytest.raises(ConfigError, match=r"mpl\.yaml: no such file \(did you mean configs/bnn_mlp\.yaml"):
        load("configs/bnn_mpl.yaml")


@pytest.mark.parametrize("path", ["nowhere/c.yaml", "nothing_like_it.yaml"])
def test_missing_config_without_neighbours(path: str) -> None:
    write("c.yaml", BASE)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value) == f"{path}: no such file"


@pytest.mark.parametrize("text", ["- a\n", "just words\n", "3\n"])
def test_a_config_holds_keys(text: str) -> None:
    assert mistake(text).startswith("c.yaml:1: a config holds keys")


def test_overrides_are_yaml_values_and_lie_on_top() -> None:
    overrides = [
        "optimizer.lr=5e-4",
        "model.depth=2",
        "data={name: cifar10, root: no}",
        "run.dir=x=y",
        "seed=1",
    ]
    experiment = load(write("c.yaml", BASE), [*overrides, "seed=1", "seed=2"])
    assert experiment.optimizer.lr == 0.0005
    assert (experiment.data.name, experiment.data.root) == ("cifar10", "no")
    assert (experiment.run.dir, experiment.seed) == ("x=y", 2)


def test_the_order_of_overrides_of_one_section_does_not_matter() -> None:
    path = write("c.yaml", BASE)
    overrides = ["optimizer.momentum=0.5", "optimizer.name=sgd"]
    assert load(path, overrides) == load(path, overrides[::-1])


BARE = "method: bnn\nmodel: {name: mlp, width: 64}\ndata: mnist\n"


def test_an_override_lies_on_the_default_of_a_section_that_is_left_out() -> None:
    path = write("c.yaml", BARE)
    overrides = ["optimizer.lr=0.5", "schedule.warmup=2", "loss.label_smoothing=0.1"]
    experiment = load(path, overrides)
    default = load(path)
    assert experiment.optimizer == default.optimizer.model_copy(update={"lr": 0.5})
    assert experiment.schedule == default.schedule.model_copy(update={"warmup": 2.0})
    assert experiment.loss == default.loss.model_copy(update={"label_smoothing": 0.1})
    bop = load(path, ["method=bop", "optimizer.binary.threshold=1e-6"]).optimizer
    assert isinstance(bop.binary, Bop)
    assert (bop.name, bop.binary.threshold) == ("adam", 1e-6)
    assert load(path, ["optimizer.lr=0.5", "optimizer=sgd"]).optimizer.name == "sgd"
    assert load(path, ["optimizer.name=sgd", "optimizer.momentum=0.5"]).optimizer.name == "sgd"


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("optimizer.momentum=0.9", "optimizer.name: is missing; choose: adam, "),
        ("schedule.end=0.1", "schedule.name: is missing; choose: constant, "),
        ("loss.reduction=sum", "loss.name: is missing; choose: cross_entropy, "),
        ("optimizer.lrr=1", "optimizer.lrr: unknown key (did you mean lr?)"),
        ("optimizer.lr=x", "optimizer.lr: must be a number, not the text 'x'"),
    ],
)
def test_a_key_that_the_default_lacks_asks_for_a_name(setting: str, sentence: str) -> None:
    assert mistake(BARE, setting).startswith(f"--set {setting}: {sentence}")


def test_table_rates_can_be_overridden_by_epoch() -> None:
    path = write("c.yaml", BASE + "schedule: {name: table, rates: {0: 1e-2, 5: -1}}\n")
    rates = load(path, ["schedule.rates.5=1e-4"]).schedule.rates  # type: ignore[union-attr]
    assert rates == {0: 0.01, 5: 0.0001}


@pytest.mark.parametrize("override", ["seed", "=3", "a..b=1", ""])
def test_malformed_overrides_are_told(override: str) -> None:
    assert mistake(BASE, override) == (
        f"--set {override}: write it as key=value, for example optimizer.lr=1e-3"
    )


def test_mistakes_in_overrides_name_the_override() -> None:
    assert mistake(BASE, "training.epochs=ten") == (
        "--set training.epochs=ten: training.epochs: must be a whole number, not the text 'ten'"
    )
    assert mistake(BASE, "seed=[1").startswith("--set seed=[1: not valid YAML")


def test_mistakes_name_the_file_they_are_in() -> None:
    write("a.yaml", BASE + "\nseed: -1\n")
    assert mistakes("extends: a.yaml\ntraining: {epochs: 0}\n") == [
        "c.yaml:2: training.epochs: must be at least 1, not 0",
        "a.yaml:6: seed: must be at least 0, not -1",
    ]


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("configs/mnist/bnn_mlp.yaml", "runs/mnist/bnn_mlp"),
        ("configs/quick.start.yaml", "runs/quick.start"),
        ("elsewhere/mine.yaml", "runs/mine"),
        ("configs/old/configs/a/b.yaml", "runs/a/b"),
    ],
)
def test_run_folder_follows_the_config(path: str, folder: str) -> None:
    assert load(write(path, BASE)).run.dir == folder


def test_run_folder_follows_the_config_from_inside_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    write("configs/mnist/a.yaml", BASE)
    monkeypatch.chdir("configs/mnist")
    assert load("a.yaml").run.dir == "runs/mnist/a"


def test_a_stored_experiment_can_be_overridden() -> None:
    stored = load(write("c.yaml", BASE))
    changed = override(stored, ["training.epochs=20", "method.latent.clip=0.5"])
    assert (changed.training.epochs, changed.method.latent.clip) == (20, 0.5)
    assert override(changed, ["training.epochs=10", "method.latent.clip=1.0"]) == stored
    with pytest.raises(ConfigError) as caught:
        override(stored, ["training.epoch=20", "seed=x"])
    assert caught.value.problems == [
        "--set training.epoch=20: training.epoch: unknown key (did you mean epochs?)",
        "--set seed=x: seed: must be a whole number, not the text 'x'",
    ]
