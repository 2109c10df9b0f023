"""Every mistake is told as its own sentence, with its place, and all of them at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bnn_train.config.loader import from_mapping, load
from bnn_train.errors import ConfigError
from bnn_train.spec.datasets import DATASETS
from bnn_train.spec.methods import METHODS
from bnn_train.spec.networks import NETWORKS
from make_config import BASE, mistake, mistakes, write


@pytest.fixture(autouse=True)
def _here(workdir: Path) -> None:
    """Relative paths, as a user types them."""


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("data.batch_size='128'", "data.batch_size: must be a whole number, not the text '128'"),
        ("data.batch_size=128.0", "data.batch_size: must be a whole number, not 128.0"),
        ("data.batch_size=true", "data.batch_size: must be a whole number, not true"),
        ("optimizer.lr=fast", "optimizer.lr: must be a number, not the text 'fast'"),
        ("optimizer.lr=.nan", "optimizer.lr: must be a finite number, not nan"),
        ("optimizer.lr=1e400", "optimizer.lr: must be a finite number, not inf"),
        ("optimizer.lr=0", "optimizer.lr: must be greater than 0, not 0"),
        ("optimizer.betas=[0.9]", "optimizer.betas: must be a list of 2 values, and this one has fewer"),
        ("optimizer.betas=[]", "optimizer.betas: must be a list of 2 values, and this one has fewer"),
        ("optimizer.betas=[0, 0, 0]", "optimizer.betas: must be a list of 2 values, and this one has more"),
        ("data.root=5", "data.root: must be text, not 5"),
        ("data.download=1", "data.download: must be true or false, not 1"),
        ("data.augment=pad_crop_flip", "data.augment: must be a list, not the text 'pad_crop_flip'"),
        ("training=", "training: must be a mapping of keys, not nothing"),
        ("run=[1]", "run: must be a mapping of keys, not a list"),
        (
            "seed=99999999999999999999",
            "seed: must be less than 9223372036854775808, not 99999999999999999999",
        ),
        ("training.ema=1", "training.ema: must be less than 1, not 1"),
        ("method.norm.momentum=2", "method.norm.momentum: must be at most 1, not 2"),
        ("method.padding=5", "method.padding: must be one of -1, 0, 1, not 5"),
        (
            "training.select=validaton",
            "training.select: must be one of validation, last, test, not the text 'validaton'"
            " (did you mean validation?)",
        ),
        ("optimizer={lr: 1}", None),  # the file has the name
    ],
)
def test_wrong_values(override: str, told: str | None) -> None:
    if told is None:
        assert load(write("c.yaml", BASE), [override]).optimizer.lr == 1.0
    else:
        assert mistake(BASE, override) == f"--set {override}: {told}"


def test_table_keys_are_epochs() -> None:
    text = BASE + "schedule:\n  name: table\n  rates:\n    0: 1\n    soon: 2\n    9: -1\n"
    assert mistakes(text) == [
        "c.yaml:9: schedule.rates.soon: this key must be a whole number, not the text 'soon'",
        "c.yaml:10: schedule.rates.9: must be greater than 0, not -1",
    ]


@pytest.mark.parametrize(
    ("key", "path", "suggestion"),
    [
        ("data.batchsize", "data.batchsize", "batch_size"),
        ("data.Batch-Size", "data.Batch-Size", "batch_size"),
        ("optimizer.learing_rate", "optimizer.learing_rate", "optimizer.lr or optimizer.binary.lr"),
        ("epochs", "epochs", "training.epochs"),
        ("model.widht", "model.widht", "width"),
        ("method.weight.quantiser", "method.weight.quantiser", "quantizer"),
    ],
)
def test_unknown_keys_have_a_suggestion(key: str, path: str, suggestion: str) -> None:
    told = mistake(BASE, f"{key}=1")
    assert told == f"--set {key}=1: {path}: unknown key (did you mean {suggestion}?)"


def test_unknown_keys_without_a_likeness_list_the_keys() -> None:
    told = mistake(BASE + "loss:\n  name: square_hinge\n  zzz: 1\n")
    assert told == "c.yaml:7: loss.zzz: unknown key; possible keys: terms, base_weight, name, reduction"


def test_a_key_that_is_another_sections_name_keeps_its_path() -> None:
    told = mistake(BASE + "loss: {name: square_hinge, square_hinge: 1}\n")
    assert told.startswith("c.yaml:5: loss.square_hinge: unknown key")


def test_look_alike_letters_show_their_code_points() -> None:
    told = mistake(BASE + "trаining: {epochs: 1}\n")
    assert "unknown key, with U+0430 (did you mean training?)" in told
    hidden = mistake(BASE + '"se\\u200Bed": 1\n')
    assert "c.yaml:5: se\\u200bed: " in hidden
    assert "U+200B" in hidden
    assert hidden.isprintable()
    assert "U+0456" in mistake(BASE, "data.name=mnіst")


def test_long_values_are_cut() -> None:
    path = write("c.yaml", BASE + "training: {select: " + "x" * 5000 + "}\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert "'" + "x" * 57 + "…'" in str(caught.value)
    assert len(str(caught.value)) < 200


def test_numeric_keys_are_unknown_keys() -> None:
    assert mistake(BASE + "5: x\n").startswith("c.yaml:5: 5: unknown key")


@pytest.mark.parametrize(
    ("section", "wrong", "place", "noun", "meant"),
    [
        ("method", "xnr", "method", "method", "xnor"),
        ("method", "{name: birael, weight: {q: 1}}", "method.name", "method", "bireal"),
        ("model", "alexnt", "model", "network", "alexnet"),
        ("model", "{name: resnet81, width: 3}", "model.name", "network", "resnet18"),
        ("data", "cifar-10", "data", "data set", "cifar10"),
        ("data", "{name: cifar01}", "data.name", "data set", "cifar10"),
        ("optimizer", "adm", "optimizer", "optimizer", "adam"),
        ("schedule", "{name: cosin}", "schedule.name", "schedule", "cosine"),
        ("loss", "crossentropy", "loss", "loss", "cross_entropy"),
    ],
)
def test_unknown_names_are_told_with_the_known_ones(
    section: str, wrong: str, place: str, noun: str, meant: str
) -> None:
    sections = {"method": "bnn", "model": "mlp", "data": "mnist"} | {section: wrong}
    told = mistake("".join(f"{key}: {value}\n" for key, value in sections.items()))
    line = list(sections).index(section) + 1
    assert told.startswith(f"c.yaml:{line}: {place}: unknown {noun} '")
    assert f"(did you mean {meant}?); known: " in told
    assert meant in told.split("known: ")[1].split(", ")


def test_an_unknown_method_lists_every_row() -> None:
    told = mistake("method: {name: nonsense}\nmodel: mlp\ndata: mnist\n")
    assert told == f"c.yaml:1: method.name: unknown method 'nonsense'; known: {', '.join(METHODS)}"


@pytest.mark.parametrize("name", ["3", "[a]", "{a: b}", ""])
def test_a_name_must_be_text(name: str) -> None:
    for section in ("method", "model", "optimizer"):
        (told,) = mistakes(BASE, f"{section}={{name: {name}}}")
        assert told.startswith(f"--set {section}=")


def test_missing_sections_and_names_are_told() -> None:
    assert mistakes("method: {padding: 1}\ndata: {root: x}\noptimizer: {momentum: 0.5}\n") == [
        f"c.yaml:1: method.name: is missing; choose: {', '.join(METHODS)}",
        f"c.yaml: model: is missing; choose: {', '.join(NETWORKS)}",
        f"c.yaml:2: data.name: is missing; choose: {', '.join(DATASETS)}",
        "c.yaml:3: optimizer.name: is missing; choose: adam, adamw, adamax, shift_adamax, sgd, radam, ebp",
    ]


def test_all_kinds_of_mistakes_are_told_at_once() -> None:
    text = (
        "seed: 1\n"
        + BASE
        + "seed: no\ntrainig: {}\ndata: {name: mnist, normalize: [{name: gcn, scale: big}]}\n"
    )
    assert mistakes(text, "loss=hinge", "run.threads=0") == [
        "c.yaml:6: seed: this key is already set at c.yaml:1",
        "c.yaml:8: data: this key is already set at c.yaml:4",
        "c.yaml:8: data.normalize.0.scale: must be a number, not the text 'big'",
        "--set loss=hinge: loss: unknown loss 'hinge'; known: cross_entropy, square_hinge, probit",
        "--set run.threads=0: run.threads: must be at least 1, not 0",
        "c.yaml:6: seed: must be a whole number, not the text 'no'",
        "c.yaml:7: trainig: unknown key (did you mean training?)",
    ]


def test_duplicate_keys_alone_are_an_error() -> None:
    assert mistake(BASE + "seed: 1\nseed: 1\n") == "c.yaml:6: seed: this key is already set at c.yaml:5"


def test_stored_configs_are_told_without_places() -> None:
    with pytest.raises(ConfigError) as caught:
        from_mapping({"method": "bnn", "model": "mlp", "data": "mnist", "seed": "1"})
    assert caught.value.problems == ["seed: must be a whole number, not the text '1'"]


def test_a_typo_is_answered_without_torch() -> None:
    write("c.yaml", BASE + "sed: 1\n")
    code = (
        "import sys\n"
        "from bnn_train.config.loader import load\n"
        "from bnn_train.errors import ConfigError\n"
        "try: load('c.yaml')\n"
        "except ConfigError as error: print(error)\n"
        "print('torch' in sys.modules, 'numpy' in sys.modules)\n"
    )
    root = Path(__file__).resolve().parents[2]
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert result.stdout == "c.yaml:5: sed: unknown key (did you mean seed?)\nFalse False\n"
