"""Weight quantizers, scales and the named weight gradients against their formulas in numpy."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from bnn_train.binary.gradients import GRADIENTS
from bnn_train.binary.weight_quantizer import WeightQuantizer
from bnn_train.spec.method import WeightSpec

RNG = np.random.default_rng(0)
SHAPES = [(4, 3, 3, 3), (5, 7), (2, 4, 1, 1)]


def weights(shape: tuple[int, ...]) -> np.ndarray:
    w = RNG.normal(size=shape) * 0.7
    flat = w.reshape(-1)
    flat[:4] = [1.0, -1.0, 0.0, 1.5]
    return w


def np_sign(w: np.ndarray) -> np.ndarray:
    return np.where(w < 0, -1.0, 1.0)


def per_filter(f: Callable[[np.ndarray], float], w: np.ndarray) -> np.ndarray:
    return np.array([f(filt) for filt in w]).reshape(-1, *[1] * (w.ndim - 1))


def axes(**values: object) -> WeightSpec:
    return WeightSpec.model_validate(values)


def codes(w: torch.Tensor, spec: WeightSpec) -> torch.Tensor:
    return WeightQuantizer(spec, w, centered=False).decompose(w).numbers


def run(
    w: np.ndarray, spec: WeightSpec, *, centered: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ŵ, g, ∂L/∂w in float64."""
    latent = torch.from_numpy(w.copy()).requires_grad_()
    out = WeightQuantizer(spec, latent, centered=centered)(latent)
    g = np.random.default_rng(1).normal(size=w.shape)
    out.backward(torch.from_numpy(g))
    assert latent.grad is not None
    return out.detach().numpy(), g, latent.grad.numpy()


@pytest.mark.parametrize("shape", SHAPES)
def test_sign_without_scale_passes_the_gradient_unchanged(shape: tuple[int, ...]) -> None:
    w = weights(shape)
    out, g, grad = run(w, axes(quantizer="sign"))
    np.testing.assert_array_equal(out, np_sign(w))
    np.testing.assert_array_equal(grad, g)


@pytest.mark.parametrize("shape", SHAPES)
def test_alpha_is_the_mean_magnitude_of_each_output_filter(shape: tuple[int, ...]) -> None:
    w = weights(shape)
    out, _, _ = run(w, axes(quantizer="sign", scale="l1", gradient="exact"))
    np.testing.assert_allclose(out, per_filter(lambda f: np.abs(f).mean(), w) * np_sign(w), rtol=1e-12)


def test_alpha_per_layer_is_one_number() -> None:
    w = weights((4, 3, 3, 3))
    out, _, _ = run(w, axes(quantizer="sign", scale="l1", granularity="layer"))
    np.testing.assert_allclose(np.abs(out), np.abs(w).mean(), rtol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("gain", ["none", "fan_in"])
@pytest.mark.parametrize("granularity", ["channel", "layer"])
def test_weight_gradients_are_their_formulas(
    shape: tuple[int, ...], centered: bool, gain: str, granularity: str
) -> None:
    w = weights(shape)
    shared = w if granularity == "channel" else w[None]  # one entry for each α
    n = shared[0].size
    alpha = per_filter(lambda f: np.abs(f).mean(), shared).reshape(-1, *[1] * (w.ndim - 1))
    m = (np.abs(w) < 1).astype(float)
    factor = w[0].size if gain == "fan_in" else 1

    def sums(values: np.ndarray) -> np.ndarray:
        return per_filter(np.sum, values.reshape(shared.shape)).reshape(alpha.shape)

    formulas: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "identity": lambda g: g,
        "detached": lambda g: alpha * m * g,
        "unscaled": lambda g: m * g,
        "official": lambda g: (alpha * m + 1 / n) * g * ((1 - 1 / w.shape[1]) if centered else 1),
        "exact": lambda g: alpha * m * g + np_sign(w) / n * sums(g * np_sign(w)),
    }
    assert formulas.keys() == GRADIENTS.keys()
    for name, formula in formulas.items():
        spec = axes(quantizer="sign", scale="l1", granularity=granularity, gradient=name, gain=gain)
        _, g, grad = run(w, spec, centered=centered)
        np.testing.assert_allclose(grad, factor * formula(g), rtol=1e-10, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    ("estimator", "slope"),
    [
        ("clip", lambda w: np.abs(w) <= 1),
        ("clip_open", lambda w: np.abs(w) < 1),
        ("approx_sign", lambda w: np.maximum(0, 2 - 2 * np.abs(w))),
    ],
)
def test_the_mask_of_a_weight_gradient_is_the_specs(
    estimator: str, slope: Callable[[np.ndarray], np.ndarray]
) -> None:
    w = weights((4, 3, 3, 3))
    spec = axes(quantizer="sign", gradient="detached", estimator=estimator)
    _, g, grad = run(w, spec)
    np.testing.assert_allclose(grad, g * slope(w), rtol=1e-12)


def test_exact_gradient_is_autograds_of_alpha_times_surrogate() -> None:
    w = weights((4, 3, 3, 3))
    latent = torch.from_numpy(w.copy()).requires_grad_()
    alpha = latent.abs().mean(dim=(1, 2, 3), keepdim=True)
    surrogate = latent.clamp(-1, 1)
    out = alpha * (surrogate + (torch.from_numpy(np_sign(w)) - surrogate).detach())
    g = np.random.default_rng(1).normal(size=w.shape)
    out.backward(torch.from_numpy(g))
    assert latent.grad is not None
    inside = (np.abs(w) != 1) & (w != 0)  # where the two conventions at ±1 and 0 agree
    spec = axes(quantizer="sign", scale="l1", gradient="exact")
    np.testing.assert_allclose(run(w, spec)[2][inside], latent.grad.numpy()[inside], rtol=1e-10)


@pytest.mark.parametrize("granularity", ["channel", "layer"])
def test_ternary_is_twns(granularity: str) -> None:
    w = weights((4, 3, 3, 3))

    def filt(f: np.ndarray) -> np.ndarray:
        delta = 0.75 * np.abs(f).mean()
        kept = np.abs(f) > delta
        return np.asarray(np.abs(f[kept]).mean() * np_sign(f) * kept)

    expected = np.stack([filt(f) for f in w]) if granularity == "channel" else filt(w)
    spec = axes(quantizer="ternary", scale="l1_masked", granularity=granularity)
    out, g, grad = run(w, spec)
    np.testing.assert_allclose(out, expected, rtol=1e-12)
    np.testing.assert_array_equal(grad, g)
    assert set(np.unique(codes(torch.from_numpy(w), spec).numpy())) == {-1.0, 0.0, 1.0}


def test_a_weight_on_the_threshold_is_zero() -> None:
    spec = axes(quantizer={"name": "ternary", "threshold": 1.0})
    w = torch.tensor([[0.5, -0.5, 0.5, -0.5], [1.0, -1.0, 0.5, -0.5]])
    assert codes(w, spec).tolist() == [[0, 0, 0, 0], [1, -1, 0, 0]]


def test_stored_weights_are_their_own_code() -> None:
    w = np_sign(weights((4, 3, 3, 3)))
    out, g, grad = run(w, axes(quantizer="stored"))
    np.testing.assert_array_equal(out, w)
    np.testing.assert_array_equal(grad, g)


def test_ternary_of_all_zero_weights_is_zero_not_nan() -> None:
    spec = axes(quantizer="ternary", scale="l1_masked")
    assert run(np.zeros((2, 3)), spec)[0].tolist() == [[0, 0, 0], [0, 0, 0]]


def test_stochastic_weights_have_the_probability_of_the_hard_sigmoid() -> None:
    torch.manual_seed(0)
    w = torch.tensor([-1.0, -0.5, 0.0, 0.6, 1.0]).repeat(20_000, 1)
    drawn = WeightQuantizer(axes(quantizer="stochastic_sign"), w, centered=False)(w)
    assert set(drawn.unique().tolist()) == {-1.0, 1.0}
    np.testing.assert_allclose((drawn > 0).float().mean(dim=0).numpy(), [0, 0.25, 0.5, 0.8, 1], atol=0.02)
