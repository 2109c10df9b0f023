"""The tables of scripts/reproduce.py: complete, loadable, shortened as they say, judged as they should be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bnn_train.config.loader import load
from bnn_train.config.schema import Experiment
from bnn_train.errors import RunError
from bnn_train.training.schedules import learning_rate
from outcome_samples import outcomes_of
from reproduction.plans import Options, digest, planned
from reproduction.results import row_result, verdict
from reproduction.shorten import shortening
from reproduction.tables import TABLES, Row, chosen, table_of

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = Options(out=Path("out"))
ROWS = [(table, row) for table in TABLES.values() for row in table.rows]
ALL_ROWS = pytest.mark.parametrize(("table", "row"), ROWS, ids=[f"{t.name}-{r.name}" for t, r in ROWS])
ASKED_FOR = {
    *("mnist-one-protocol", "mnist-bc", "mnist-bnn", "cifar10-one-protocol", "cifar10-bc", "cifar10-bnn"),
    *("cifar10-resnet20", "cifar10-vgg-small", "svhn", "imagenet-alexnet", "imagenet-resnet18"),
    "xnor-ablations",
}


def test_the_tables_have_their_names() -> None:
    assert set(TABLES) >= ASKED_FOR
    for table in TABLES.values():
        names = [row.name for row in table.rows]
        assert len(set(names)) == len(names)
        assert (ROOT / "configs" / table.folder).is_dir()


def test_every_config_of_the_four_methods_with_a_published_number_is_in_a_table() -> None:
    in_tables = {row.config for _, row in ROWS}
    for path in (ROOT / "configs").rglob("*.yaml"):
        experiment, name = load(path), str(path.relative_to(ROOT / "configs").with_suffix(""))
        core = experiment.method.name.partition("_")[0] in {"bc", "bnn", "bwn", "xnor"}
        if core and experiment.reference.band is not None:
            assert name in in_tables


@ALL_ROWS
def test_every_row_loads_in_full_and_cut(table: Any, row: Row) -> None:
    full = planned(row, OPTIONS)
    assert full.experiment(2).seed == 2
    assert full.experiment(2).run.dir == f"out/full/{row.name}/seed2"
    cut = planned(row, Options(out=Path("out"), fast=3))
    assert cut.experiment(1).training.epochs == 3
    assert cut.published.training.epochs == full.experiment(1).training.epochs
    assert cut.experiment(1).run.dir == f"out/fast3/{row.name}/seed1"


@ALL_ROWS
def test_a_cut_schedule_is_the_whole_one_moved_along(table: Any, row: Row) -> None:
    """The rate at a tenth of the way is that of the whole run at a tenth of its way."""
    whole = planned(row, OPTIONS).experiment(1)
    epochs = whole.training.epochs
    cut = planned(row, Options(out=Path("out"), fast=epochs // 2)).experiment(1)
    for at in range(epochs // 2):
        if _changes_within(whole, 2 * at):
            continue
        assert _rate(cut, at) == pytest.approx(_rate(whole, 2 * at * epochs / (epochs // 2 * 2)), rel=0.05)


def _rate(e: Experiment, epoch: float) -> float:
    schedule = e.schedule.model_copy(update={"per": "step"})
    steps = round(epoch * 1000)
    return learning_rate(schedule, e.optimizer.lr, step=steps, steps_per_epoch=1000, epochs=e.training.epochs)


def _changes_within(e: Experiment, epoch: int) -> bool:
    """Whether the rate jumps near an epoch, where rounding to whole epochs may tell."""
    return _rate(e, max(0, epoch - 2)) > 1.4 * _rate(e, min(epoch + 2, e.training.epochs - 1))


def test_shortening_moves_everything_that_counts_epochs() -> None:
    base = {"method": "bop", "model": "mlp", "data": "mnist", "training": {"epochs": 100}}
    optimizer = {
        "name": "sgd",
        "weight_decay": 0.1,
        "weight_decay_epochs": 29,
        "binary": {"name": "bop", "gamma_every": 50},
    }
    schedule = {"name": "step", "every": 30, "warmup": 10.0}
    e = Experiment.model_validate(base | {"optimizer": optimizer, "schedule": schedule})
    assert shortening(e, 10) == [
        "training.epochs=10",
        "schedule.warmup=1.0",
        "schedule.at=[3.0, 6.0, 9.0]",
        "schedule.every=null",
        "optimizer.weight_decay_epochs=3",
        "optimizer.binary.gamma_every=5",
    ]
    assert shortening(e, 100) == []
    assert shortening(e, None) == []


def test_a_shortened_table_leaves_nothing_of_the_old_one() -> None:
    e = load(ROOT / "configs/imagenet/fp_alexnet.yaml")
    cut = load(ROOT / "configs/imagenet/fp_alexnet.yaml", shortening(e, 20))
    rates = [_rate(cut, epoch) for epoch in range(20)]
    assert rates == [1e-2] * 7 + [5e-3] * 4 + [1e-3] * 5 + [5e-4] * 3 + [1e-4]


def test_the_digest_asks_what_a_result_depends_on() -> None:
    row = TABLES["mnist-one-protocol"].rows[0]
    one, two = (planned(row, Options(out=Path(p), root=p, threads=n)) for p, n in (("a", 1), ("b", 2)))
    assert digest(one.experiment(1)) == digest(two.experiment(1))
    assert digest(one.experiment(1)) != digest(one.experiment(2))
    assert digest(one.experiment(1)) != digest(planned(row, Options(out=Path("a"), fast=9)).experiment(1))


@pytest.mark.parametrize(
    ("scores", "options", "told"),
    [
        ((98.5, 98.6), {}, "inside the band"),  # published 98.53 ± 0.2
        ((98.2,), {}, "outside the band, below it"),
        ((98.8,), {}, "outside the band, above it"),
        ((98.33,), {}, "inside the band"),  # the edge itself, whatever float makes of 98.53 − 98.33
        ((98.73,), {}, "inside the band"),
        ((98.5,), {"sets": ("data.workers=4", "run.device=cpu")}, "inside the band"),
        ((98.5,), {"fast": 50}, "inside the band"),  # nothing to cut
        ((98.5,), {"sets": ("training.epochs=10",)}, "not comparable: 10 of 50 epochs"),
        ((98.5,), {"fast": 5}, "not comparable: 5 of 50 epochs"),
        ((98.5,), {"sets": ("data.train_limit=100",)}, "not comparable: data.train_limit=100"),
        ((), {}, "not run"),
    ],
)
def test_verdicts(scores: tuple[float, ...], options: dict[str, Any], told: str) -> None:
    plan = planned(chosen(table_of("mnist-one-protocol"), "bnn_mlp")[0], Options(out=Path("o"), **options))
    result = row_result(plan, outcomes_of(*scores))
    assert result["verdict"] == told
    assert result["published"] == 98.53


def test_mean_and_deviation_over_the_seeds() -> None:
    plan = planned(chosen(table_of("mnist-one-protocol"), "bnn_mlp")[0], OPTIONS)
    result = row_result(plan, outcomes_of(98.0, 99.0))
    assert (result["mean"], result["difference"]) == (98.5, pytest.approx(-0.03))
    assert result["std"] == pytest.approx(0.5**0.5)
    assert row_result(plan, outcomes_of(98.0))["std"] is None


def test_numbers_without_a_band_or_for_changed_rows_are_not_judged() -> None:
    copied = planned(chosen(table_of("cifar10-vgg-small"), "bnn_vgg_small")[0], OPTIONS)
    assert row_result(copied, outcomes_of(89.9))["verdict"].startswith("not comparable: the published number")
    ablation = planned(chosen(table_of("xnor-ablations"), "k")[0], OPTIONS)
    assert row_result(ablation, outcomes_of(99.0))["verdict"] == "no published number"
    assert verdict({"mean": None, "failed": {}}) == "not run"
    assert verdict({"mean": None, "failed": {"1": "the loss is NaN"}}) == "failed: the loss is NaN"


def test_a_changed_row_may_have_its_own_published_number() -> None:
    row = chosen(table_of("imagenet-alexnet"), "xnor_alexnet_c_b_a_p")[0]
    result = row_result(planned(row, OPTIONS), outcomes_of(30.6, total=50_000, classes=("a",) * 1000))
    assert (result["published"], result["band"], result["verdict"]) == (30.3, 0.4, "inside the band")
    assert result["source"] == "XNOR-Net, table 3: order C-B-A-P"


def test_a_sample_is_not_the_data_set() -> None:
    plan = planned(chosen(table_of("imagenet-resnet18"), "xnor_resnet18")[0], OPTIONS)
    few = row_result(plan, outcomes_of(51.2, total=500, classes=("a",) * 10))
    assert few["verdict"] == "not comparable: 500 of 50,000 test images"
    assert few["difference"] is None
    narrow = row_result(plan, outcomes_of(51.2, total=50_000, classes=("a",) * 10))
    assert narrow["verdict"] == "not comparable: 10 of 1,000 classes"


def test_a_step_schedule_without_a_drop_can_be_cut() -> None:
    row = chosen(table_of("mnist-bnn"), "bnn_stochastic_mlp")[0]
    cut = planned(row, Options(out=Path("o"), fast=5, sets=("training.epochs=15",))).experiment(1)
    assert [_rate(cut, epoch) for epoch in range(5)] == [cut.optimizer.lr] * 5


def test_names_that_are_none_are_told() -> None:
    with pytest.raises(RunError, match=r"did you mean mnist-bnn\?"):
        table_of("mnist-bn")
    with pytest.raises(RunError, match="no row 'x'; its rows: fp_mlp, "):
        chosen(table_of("mnist-one-protocol"), "fp_mlp,x")
