"""Every name that a config may hold against the table that makes an object of it; those of a method stand in
``test_tables_method``."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, get_args

import pytest
import torch
from PIL import Image
from torch import nn

from bnn_train.binary.layers import BinaryLinear
from bnn_train.config import schema
from bnn_train.data import normalize, readers
from bnn_train.data.decode import Draws, for_training
from bnn_train.data.files import FILES
from bnn_train.data.normalize import Normalizer
from bnn_train.data.randomness import permutation
from bnn_train.data.sources import BATCHED
from bnn_train.data.vary import varied
from bnn_train.export.run import pixel_steps
from bnn_train.models.build import BUILDERS, build
from bnn_train.packed import preprocess
from bnn_train.packed.preprocess_rules import KINDS
from bnn_train.report.top1 import SELECTION
from bnn_train.spec import annealed, learning
from bnn_train.spec.augment import Varied
from bnn_train.spec.data import Data
from bnn_train.spec.datasets import DATASETS
from bnn_train.spec.methods import METHODS
from bnn_train.spec.networks import NETWORKS
from bnn_train.training.losses import table as terms
from bnn_train.training.losses.base import BASES, criterion
from bnn_train.training.losses.terms import Term
from bnn_train.training.optimizers.assembly import KINDS as OPTIMIZERS
from bnn_train.training.optimizers.assembly import Optimizers
from bnn_train.training.precision import AMP_TYPES
from bnn_train.training.records import SELECTION_SPLITS
from bnn_train.training.schedules import CURVES, learning_rate
from options import ids, literals, members, name_of, sections

SHAPE = (1, 12, 12)


def test_networks() -> None:
    names = {name_of(cls) for cls in members(schema.Network)}
    assert names == set(NETWORKS) == set(BUILDERS)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_is_built(name: str) -> None:
    with torch.device("meta"):
        network = NETWORKS[name].model_validate({"name": name})
        model = build(network, METHODS["bnn"], (3, 32, 32), 10)  # type: ignore[arg-type]  # one of the union
        assert model.eval()(torch.empty(1, 3, 32, 32)).shape == (1, 10)


def test_data_sets() -> None:
    names = literals(Data, "name")
    assert names == set(DATASETS)
    assert {name for name in names if DATASETS[name].layout == "tensor"} == set(readers._READERS)
    assert set(FILES) < names


@pytest.mark.parametrize("step", sections(schema.Normalization), ids=ids)
def test_normalizations(step: Any) -> None:
    """Each is computed in training, and by the packed runtime under the name that an export gives it."""
    normalizer = Normalizer([step], shape=SHAPE, mean=(0.5,), std=(0.25,), device=torch.device("cpu"))
    images = torch.randint(0, 256, (4, *SHAPE), dtype=torch.uint8)
    normalizer.fit(images)
    assert normalizer(images).shape == images.shape
    (exported,) = pixel_steps(normalizer)
    assert exported.kind in KINDS
    assert exported.kind in preprocess._APPLY


def test_no_normalization_without_a_name() -> None:
    assert set(members(schema.Normalization)) == set(normalize._APPLY)
    assert len(normalize._APPLY) == len(KINDS) == len(preprocess._APPLY)


@pytest.mark.parametrize("step", sections(schema.Augmentation), ids=ids)
def test_augmentations(step: Any) -> None:
    if type(step) in BATCHED:
        images = torch.zeros(2, *SHAPE, dtype=torch.uint8)
        done = BATCHED[type(step)](images, step, seed=1, epoch=0, ids=permutation(1, 0, 2))
        assert done.shape == images.shape
    elif isinstance(step, Varied):
        assert varied(torch.zeros(*SHAPE, dtype=torch.uint8), [step], 1, 0, 7).shape == SHAPE
    else:
        picture = Image.new("RGB", (40, 30))
        assert for_training(picture, 12, step, Draws(1, 0, 0)).shape == (12, 12, 3)


@pytest.mark.parametrize("schedule", sections(schema.Schedule), ids=ids)
def test_schedules(schedule: Any) -> None:
    assert learning_rate(schedule, 0.5, step=0, steps_per_epoch=2, epochs=4) == 0.5


def test_no_schedule_without_a_name() -> None:
    assert {name_of(cls) for cls in members(schema.Schedule)} == set(CURVES)


# ---------------------------------------------------------------------------------------- training


BINARY = learning.Adam.model_fields["binary"].annotation
"""Optimizers of binary weights alone."""


def test_no_optimizer_without_a_name() -> None:
    names = {name_of(cls) for cls in (*members(learning.Optimizer), *members(BINARY))}
    assert names == set(OPTIMIZERS)


@pytest.mark.parametrize("options", sections(learning.Optimizer), ids=ids)
@pytest.mark.parametrize(
    "binary", [None, *sections(learning.Adam.model_fields["binary"].annotation)], ids=str
)
def test_optimizers(options: Any, binary: Any) -> None:
    model = nn.Sequential(nn.Linear(4, 4), BinaryLinear(4, 3, method="bop", role="body"))
    made = Optimizers(model, options.model_copy(update={"binary": binary}))
    model(torch.randn(2, 4)).sum().backward()
    assert made.step(torch.amp.GradScaler("cpu", enabled=False))


@pytest.mark.parametrize("options", sections(learning.Loss), ids=ids)
def test_loss_bases(options: Any) -> None:
    base = criterion(options)
    assert base(torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1])).shape == ()
    assert base.prior(3) <= max(base.guess(3))


def test_no_loss_without_a_name() -> None:
    assert {name_of(cls) for cls in members(learning.Loss)} == set(BASES)
    assert {name_of(cls) for cls in members(term_union())} == set(terms.TERMS)


def term_union() -> Any:
    """The terms that every loss may have."""
    return get_args(learning.CrossEntropy.model_fields["terms"].annotation)[0]


@pytest.mark.parametrize("options", sections(term_union()), ids=ids)
def test_loss_terms(options: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Answer:
        model = nn.Sequential(OrderedDict(norm1=nn.BatchNorm1d(4)))

    def teacher(*_: object) -> Any:
        return Answer()

    monkeypatch.setattr(terms, "open_teacher", teacher)
    (made,) = terms.terms_of(learning.SquareHinge(name="square_hinge", terms=(options,)), torch.device("cpu"))
    assert isinstance(made, Term)


@pytest.mark.parametrize("name", sorted(literals(annealed.Curve, "curve")))
@pytest.mark.parametrize("over", [None, 7])
def test_curves(name: str, over: int | None) -> None:
    curve = annealed.Curve.model_validate({"from": 1.0, "to": 4.0, "curve": name, "over": over})
    assert annealed.number_at(curve, annealed.Position(epochs=9)) == 1.0
    assert annealed.number_at(curve, annealed.Position(epoch=9.0, epochs=9)) == 4.0
    assert annealed.number_at(curve, annealed.END) == 4.0


def test_no_curve_without_a_name() -> None:
    assert literals(annealed.Curve, "curve") == set(annealed.CURVES)


def test_selection_and_precision() -> None:
    assert literals(schema.Training, "select") == set(SELECTION_SPLITS) == set(SELECTION)
    assert literals(schema.Training, "amp") == set(AMP_TYPES)
