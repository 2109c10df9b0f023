"""Every word that a method may hold against the object that it builds, for each axis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import pytest
import torch

from bnn_train.binary.estimators import ESTIMATORS
from bnn_train.binary.factory import GAMMAS, LEADS, NORMS_1D, NORMS_2D, Layers
from bnn_train.binary.gradients import GAINS, GRADIENTS
from bnn_train.binary.inits import INITS
from bnn_train.binary.input_quantizer import InputQuantizer
from bnn_train.binary.latent import COEFFICIENTS
from bnn_train.binary.layers import LAYERS, BinaryLayer, BinaryLinear
from bnn_train.binary.nonlinear import STREAMS
from bnn_train.binary.output_scales import OUTPUT_SCALES
from bnn_train.binary.pre import PRES
from bnn_train.binary.quantizers import QUANTIZERS
from bnn_train.binary.scales import SCALES
from bnn_train.binary.tables import Table
from bnn_train.models.build import build
from bnn_train.spec import pre, scales
from bnn_train.spec.estimators import Estimator
from bnn_train.spec.method import ActivationSpec, BlockSpec, LatentSpec, Method, NormSpec, Role, WeightSpec
from bnn_train.spec.methods import METHODS
from bnn_train.spec.networks import NETWORKS
from bnn_train.spec.quantizers import ActivationQuantizer, Real, WeightQuantizer
from bnn_train.spec.record import Record
from options import ids, literals, members, name_of, sections

AXES: dict[str, tuple[Table[Any], tuple[Any, ...], set[type[Record]]]] = {
    "quantizer": (QUANTIZERS, (WeightQuantizer, ActivationQuantizer), {Real}),
    "pre": (PRES, (pre.WeightPre, pre.ActivationPre), set()),
    "estimator": (ESTIMATORS, (Estimator,), set()),
    "scale": (SCALES, (scales.WeightScale,), set()),
    "output_scale": (OUTPUT_SCALES, (scales.OutputScale,), set()),
}
"""An axis's table, its unions, and the options that build nothing."""


@pytest.mark.parametrize("axis", AXES)
def test_every_option_of_a_method_has_its_object(axis: str) -> None:
    """And every object an option by which a config may ask for it."""
    table, unions, idle = AXES[axis]
    named = {cls for union in unions for cls in members(union)}
    assert named - idle == set(table.rows)
    names = [name_of(cls) for cls in named]
    assert len(names) == len(set(names))


def build_weight(**axes: Any) -> None:
    """A dense layer of role `body` whose weight has these options: an evaluation and a gradient."""
    spec = WeightSpec.model_validate({"quantizer": "sign", "gradient": "detached", **axes})
    layer = BinaryLinear(8, 4, method=METHODS["fp"].model_copy(update={"weight": spec}), role="body")
    layer(torch.randn(2, 8)).sum().backward()
    assert layer.codes().value.shape == (4, 8)
    assert layer.weight.grad is not None


@pytest.mark.parametrize("options", sections(WeightQuantizer), ids=ids)
def test_weight_quantizers(options: Any) -> None:
    if options.quantizes:
        build_weight(quantizer=options)


@pytest.mark.parametrize("options", sections(pre.WeightPre), ids=ids)
def test_weight_pre(options: Any) -> None:
    build_weight(pre=options)


@pytest.mark.parametrize("options", sections(scales.WeightScale), ids=ids)
def test_weight_scales(options: Any) -> None:
    build_weight(scale=options)


@pytest.mark.parametrize("options", sections(Estimator), ids=ids)
def test_weight_estimators(options: Any) -> None:
    build_weight(estimator=options)


def build_input(**axes: Any) -> None:
    """An input quantizer with these options: value, codes and gradient of a map."""
    made = InputQuantizer(ActivationSpec.model_validate({"quantizer": "sign", **axes}), 3)
    x = torch.randn(2, 3, 4, 4).requires_grad_()
    made(x).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(made.eval()(x), made.decompose(x).value)


@pytest.mark.parametrize("options", sections(ActivationQuantizer), ids=ids)
def test_activation_quantizers(options: Any) -> None:
    if options.quantizes:
        build_input(quantizer=options)


@pytest.mark.parametrize("options", sections(pre.ActivationPre), ids=ids)
def test_activation_pre(options: Any) -> None:
    build_input(pre=options, quantizer="uniform")


@pytest.mark.parametrize("options", sections(Estimator), ids=ids)
def test_activation_estimators(options: Any) -> None:
    build_input(estimator=options)


@pytest.mark.parametrize("options", sections(scales.OutputScale), ids=ids)
def test_output_scales(options: Any) -> None:
    layers = Layers(METHODS["xnor"].model_copy(update={"output_scale": options}))
    assert layers.conv("body", 3, 4, 3)(torch.randn(1, 3, 5, 5)).shape == (1, 4, 3, 3)


def test_rules_without_options() -> None:
    assert literals(WeightSpec, "gradient") == set(GRADIENTS)
    assert literals(WeightSpec, "gain") == set(GAINS)
    assert literals(LatentSpec, "init") == set(INITS)
    assert literals(LatentSpec, "lr_scale") == set(COEFFICIENTS)
    assert literals(NormSpec, "kind") == set(NORMS_1D) == set(NORMS_2D)
    assert literals(NormSpec, "gamma") == set(GAMMAS)
    assert literals(BlockSpec, "before_last") == set(LEADS)
    assert literals(BlockSpec, "post_add_activation") == set(STREAMS)


def words() -> Iterator[tuple[str, str, Any]]:
    """Every key of a method's sections that takes one of a few words, with each."""
    for section, field in Method.model_fields.items():
        for key, inner in getattr(field.annotation, "model_fields", {}).items():
            if get_origin(inner.annotation) is Literal:
                yield from ((section, key, word) for word in get_args(inner.annotation))


@pytest.mark.parametrize(("section", "key", "word"), list(words()))
def test_every_word_builds_a_network(section: str, key: str, word: Any) -> None:
    row = METHODS["xnor"]
    changed = getattr(row, section).model_copy(update={key: word})
    method = row.model_copy(update={section: changed})
    for options in ({"name": "convnet", "width": 2}, {"name": "resnet20", "width": 2}):
        network = NETWORKS[str(options["name"])].model_validate(options)
        model = build(network, method, (1, 8, 8), 3)  # type: ignore[arg-type]  # one of the union
        model(torch.randn(2, 1, 8, 8)).sum().backward()


@pytest.mark.parametrize("role", get_args(Role))
@pytest.mark.parametrize("kind", sorted(LAYERS))
def test_roles(role: Role, kind: str) -> None:
    """Every role may stay real, and is binary otherwise, with either kind of layer."""
    row = METHODS["bnn"]
    kept = row.model_copy(update={"scope": row.scope.model_copy(update={"real": (role,)})})
    for method, binary in ((row, True), (kept, False)):
        layers = Layers(method)
        made = layers.linear(role, 2, 2) if kind == "linear" else layers.conv(role, 2, 2, 1)
        assert isinstance(made, BinaryLayer) is binary
