"""A dumped experiment loads again as the same one; its digest follows its values; the JSON Schema fits."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bnn_train.config.loader import dump, experiment_hash, from_mapping, json_schema, load
from bnn_train.config.schema import Experiment
from bnn_train.config.yaml_reader import read_yaml
from bnn_train.spec.datasets import DATASETS
from bnn_train.spec.methods import METHODS
from bnn_train.spec.networks import NETWORKS

ROOT = Path(__file__).resolve().parents[2]
PLAIN: dict[str, Any] = {"method": "xnor", "model": "nin", "data": "cifar10"}

positive = st.floats(min_value=1e-300, max_value=1e300)
rate = st.floats(min_value=0, max_value=1, exclude_max=True)
count = st.integers(min_value=1, max_value=10**12)
words = st.sampled_from(
    [
        "no",
        "1e-3",
        "1.0e-05",
        "010",
        "~",
        "",
        "true",
        "12:30:45",
        "a: b",
        "# x",
        "é\u200b",
        "a\x85b",
        "\u2028",
        "- x",
        "<<",
    ]
)
text = words | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
schedules = st.one_of(
    st.fixed_dictionaries({"name": st.just("constant"), "warmup": rate}),
    st.fixed_dictionaries(
        {"name": st.just("step"), "at": st.lists(positive, max_size=3), "factor": positive}
    ),
    st.fixed_dictionaries(
        {"name": st.just("table"), "rates": st.dictionaries(st.integers(0, 500), positive, max_size=4)}
    ),
)
optimizers = st.one_of(
    st.fixed_dictionaries({"name": st.just("adam"), "lr": positive, "betas": st.tuples(rate, rate)}),
    st.fixed_dictionaries({"name": st.just("sgd"), "momentum": rate, "nesterov": st.booleans()}),
    st.just({"name": "adam", "binary": {"name": "bop", "gamma": 0.5}}),
)
normalizations = st.lists(
    st.sampled_from(
        ["unit", "zca", {"name": "gcn", "scale": 1.0}, {"name": "mean_std", "mean": [0.1, 1, 2]}]
    ),
    max_size=3,
)
experiments = st.fixed_dictionaries(
    {
        "method": st.sampled_from(list(METHODS))
        | st.builds(lambda clip: {"name": "bnn", "latent": {"clip": clip}, "padding": -1}, positive),
        "model": st.sampled_from(list(NETWORKS)),
        "data": st.fixed_dictionaries(
            {
                "name": st.sampled_from(list(DATASETS)),
                "root": text,
                "normalize": normalizations,
                "augment": st.lists(st.sampled_from(["pad_crop_flip", "resize_crop"]), max_size=2),
                "shape": st.none() | st.tuples(count, count, count),
            }
        ),
        "optimizer": optimizers,
        "schedule": schedules,
        "run": st.fixed_dictionaries({"dir": text}),
        "seed": st.integers(min_value=0, max_value=2**63 - 1),
        "reference": st.fixed_dictionaries({"notes": text, "top1": st.none() | rate}),
    }
)


def reloaded(experiment: Experiment, folder: Path) -> Experiment:
    """Through a file and the loader's own reader, short of the checks of combinations."""
    path = folder / "config.yaml"
    path.write_text(dump(experiment), encoding="utf-8", newline="")
    document = read_yaml(path, "config.yaml")
    assert document.problems == []
    return from_mapping(document.data)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(experiments)
def test_dump_loads_as_an_equal_experiment(tmp_path: Path, mapping: dict[str, Any]) -> None:
    experiment = from_mapping(mapping)
    again = reloaded(experiment, tmp_path)
    assert again == experiment
    assert experiment_hash(again) == experiment_hash(experiment)


@settings(max_examples=30, deadline=None)
@given(experiments)
def test_json_stores_an_equal_experiment(mapping: dict[str, Any]) -> None:
    experiment = from_mapping(mapping)
    assert from_mapping(json.loads(json.dumps(experiment.model_dump(mode="json")))) == experiment


def test_dumped_config_is_complete_and_loads_by_its_path(tmp_path: Path) -> None:
    source = tmp_path / "c.yaml"
    source.write_text("method: {name: xnor, weight: {gradient: exact}}\nmodel: nin\ndata: cifar10\nseed: 5\n")
    experiment = load(source)
    stored = tmp_path / "config.yaml"
    stored.write_text(dump(experiment))
    assert load(stored) == experiment
    told = yaml.safe_load(dump(experiment))
    assert list(told) == list(Experiment.model_fields)
    assert told["method"]["scope"]["real"] == ["first", "last"]
    assert told["method"]["weight"]["gradient"] == "exact"
    assert told["run"]["dir"] == "runs/c"


def test_dump_reads_the_same_in_a_yaml_1_1_reader() -> None:
    notes = ["no", "1e-3", "12:30:45", "2024-01-31", "010"]
    experiment = from_mapping({**PLAIN, "reference": {"notes": "no", "paper": "1e-3"}})
    told = yaml.safe_load(dump(experiment))["reference"]
    assert (told["notes"], told["paper"]) == ("no", "1e-3")
    for note in notes:
        one = from_mapping({**PLAIN, "reference": {"notes": note}})
        assert yaml.safe_load(dump(one))["reference"]["notes"] == note


def test_hash_is_of_the_canonical_json() -> None:
    experiment = from_mapping(PLAIN)
    canonical = json.dumps(json.loads(experiment.model_dump_json()), sort_keys=True, separators=(",", ":"))
    assert experiment_hash(experiment) == hashlib.sha256(canonical.encode()).hexdigest()


def test_hash_follows_every_value_and_no_spelling() -> None:
    base = experiment_hash(from_mapping(PLAIN))
    assert experiment_hash(from_mapping(dict(reversed(PLAIN.items())))) == base
    assert experiment_hash(from_mapping({**PLAIN, "optimizer": {"name": "adam", "lr": 1e-3}})) == base
    assert experiment_hash(from_mapping({**PLAIN, "seed": 2})) != base
    assert experiment_hash(from_mapping({**PLAIN, "method": {"name": "xnor", "padding": 1}})) != base


def test_json_schema_knows_the_shorthands_and_every_meaning() -> None:
    schema = json_schema()
    definitions = schema["$defs"]
    properties = schema["properties"]
    assert set(properties) == {"extends", *Experiment.model_fields}
    for section, names in (("method", METHODS), ("model", NETWORKS), ("data", DATASETS)):
        shorthand = properties[section]["anyOf"][0]
        assert set(shorthand["enum"]) == set(names)
    assert {"enum": ["adam", "adamax", "adamw", "ebp", "radam", "sgd", "shift_adamax"]} in properties[
        "optimizer"
    ]["anyOf"]
    assert {"enum": ["adam", "bop", "rsgd"]} in definitions["Adam"]["properties"]["binary"]["anyOf"][0][
        "anyOf"
    ]
    assert definitions["Method"]["properties"]["name"]["enum"] == list(METHODS)
    assert "α" in definitions["WeightSpec"]["properties"]["scale"]["description"]
    shorthand = definitions["ActivationSpec"]["properties"]["quantizer"]["anyOf"][0]
    assert {"none", "sign", "stochastic_sign", "uniform"} <= set(shorthand["enum"])
    assert definitions["Data"]["additionalProperties"] is False
    assert '"required"' not in json.dumps(schema)


def test_every_shipped_config_is_valid_by_the_schema_and_mistakes_are_not() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    paths = sorted((ROOT / "configs").rglob("*.yaml"))
    assert len(paths) > 200
    for path in paths:
        found = [error.message for error in validator.iter_errors(read_yaml(path, str(path)).data)]
        assert found == [], path
    for wrong in (
        {"method": "bnnn"},
        {"optimizer": {"name": "adam", "lrr": 1}},
        {"model": {"name": "mlp", "widht": 3}},
        {"training": {"epochs": -1}},
        {"method": {"name": "bnn", "weight": {"quantizer": "none of these"}}},
        {"colour": "red"},
    ):
        assert not validator.is_valid(wrong)
