"""Stored configs of earlier releases go on meaning what they meant."""

from __future__ import annotations

from typing import Any

import pytest

from bnn_train.config.loader import from_mapping
from bnn_train.config.schema import Experiment
from bnn_train.errors import ConfigError


def stored(name: str, *, earlier: bool) -> dict[str, Any]:
    """A whole config as a run stores it; ``earlier``: by a release that drew splits by position alone."""
    section = {"name": name, "validation": {"size": 5}}
    written = Experiment.model_validate({"method": "bnn", "model": "mlp", "data": section}).model_dump(
        mode="json"
    )
    if earlier:
        for key in ("by", "drawn", "folder"):
            del written["data"]["validation"][key]
        for key in ("exif", "on_error", "test_folder"):
            del written["data"][key]
    return written


@pytest.mark.parametrize(("name", "by"), [("imagenet", "position"), ("mnist", "name"), ("synthetic", "name")])
def test_folders_of_earlier_releases_are_split_by_position(name: str, by: str) -> None:
    validation = from_mapping(stored(name, earlier=True)).data.validation
    assert (validation.by, validation.drawn, validation.size) == (by, None, 5)


def test_a_config_of_today_is_left_alone() -> None:
    today = stored("imagenet", earlier=False)
    assert from_mapping(today).model_dump(mode="json") == today


def test_what_a_person_wrote_is_of_today() -> None:
    for data in ("imagenet", {"name": "imagenet", "root": "photos", "validation": {"size": 5}}):
        assert from_mapping({"method": "bnn", "model": "mlp", "data": data}).data.validation.by == "name"


@pytest.mark.parametrize("data", [None, 3, [], {"name": []}, {"name": "imagenet", "validation": 3}])
def test_nonsense_is_left_to_the_schema(data: object) -> None:
    with pytest.raises(ConfigError):
        from_mapping({"method": "bnn", "model": "mlp", "data": data})
