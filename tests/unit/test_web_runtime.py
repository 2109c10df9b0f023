"""The page's runtime in a headless browser: every step of the format against the reference, bit for bit."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bnn_train.export.targets.web import browser, page
from bnn_train.packed import container, preprocess
from bnn_train.packed.program import Images, Preprocess
from bnn_train.packed.reference.engine import ReferenceEngine
from bnn_train.packed.reference.fma import fma
from bnn_train.packed.reference.sigmoid import sigmoid
from packed_grid import conv_cases
from packed_pools import pool_programs
from packed_programs import Made, header_of, random_input, single_conv
from packed_streams import stream_programs

Array = NDArray[Any]
pytestmark = pytest.mark.skipif(browser.find() is None, reason="needs Chromium or Chrome")
HERE = """
const floats = (text) => new Float32Array(bytesOf(text).buffer);
const texts = (numbers) => base64Of(new Uint8Array(Float32Array.from(numbers).buffer));
"""


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Browser]:
    """A page of the runtime alone."""
    path = tmp_path_factory.mktemp("web") / "runtime.html"
    scripts = page.script((*page.RUNTIME, "pictures"))
    path.write_text(f'<script>"use strict";\n{scripts}\n{HERE}</script>', encoding="utf-8")
    with browser.Browser() as found:
        found.open(path)
        yield found


def text(array: Array) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def floats(found: str) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(found), "<f4")


def computed(runtime: browser.Browser, made: Made, x: Array) -> NDArray[np.float32]:
    """The program's output, images one by one."""
    kind = "floats" if x.dtype == np.float32 else "bytesOf"
    calls = ", ".join(f'...own.run({kind}("{text(image)}"))[own.program.output]' for image in x)
    content = text(np.frombuffer(container.pack(header_of(made), made.tensors), np.uint8))
    own = f'(() => {{ const own = new Network(bytesOf("{content}")); return texts([{calls}]); }})()'
    return floats(runtime.evaluate(own)).reshape(len(x), -1)


def compared(runtime: browser.Browser, made: Made) -> bool:
    x = random_input(made.program, 2, special=made.exact and made.program.values[0].type == "f32")
    with np.errstate(all="ignore"):
        wanted = ReferenceEngine(made.program, made.tensors).run(x, 1)
    found = computed(runtime, made, x)
    if made.exact:
        return np.array_equal(found, wanted, equal_nan=True)
    return np.allclose(found, wanted, rtol=1e-4, atol=1e-3, equal_nan=True)


def programs() -> list[tuple[str, Made]]:
    cases = [(name, single_conv(i, **arguments)) for i, (name, arguments) in enumerate(conv_cases())]
    return [*cases, *pool_programs(), *stream_programs()]


def few() -> list[tuple[str, Made]]:
    """A sixth of the grid, with something of each of its parts."""
    return programs()[::6]


def test_programs_of_every_kind(runtime: browser.Browser) -> None:
    assert [name for name, made in few() if not compared(runtime, made)] == []


@pytest.mark.slow
def test_every_program_of_the_grid(runtime: browser.Browser) -> None:
    made = programs()
    assert len(made) > 400
    assert [name for name, one in made if not compared(runtime, one)] == []


def odd_numbers(count: int, seed: int) -> NDArray[np.float32]:
    """float32 of all sizes, some of them special."""
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal(count) * 2.0 ** rng.integers(-40, 40, count)).astype(np.float32)
    x[:6] = [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45]
    return x


def test_multiply_and_add_is_rounded_once(runtime: browser.Browser) -> None:
    a, b = odd_numbers(20_000, 0), odd_numbers(20_000, 1)[::-1].copy()
    exact = a.astype(np.float64) * b.astype(np.float64)
    nudge = np.random.default_rng(2).choice(np.array([1, 2.0**-24, 2.0**-25, 2.0**-50]), len(a))
    with np.errstate(all="ignore"):
        c = (-exact * nudge).astype(np.float32)
        wanted = fma(a, b, c)
    given = ", ".join(f'"{text(x)}"' for x in (a, b, c))
    call = f"((a, b, c) => texts(a.map((v, i) => fma(v, b[i], c[i]))))(...[{given}].map(floats))"
    assert np.array_equal(floats(runtime.evaluate(call)), wanted, equal_nan=True)


def test_a_sigmoid_is_the_same_number(runtime: browser.Browser) -> None:
    y = np.concatenate([odd_numbers(5_000, 3), np.linspace(-110, 110, 20_000, dtype=np.float32)])
    with np.errstate(all="ignore"):
        wanted = sigmoid(y)
    found = floats(runtime.evaluate(f'texts(floats("{text(y)}").map(sigmoid))'))
    assert np.array_equal(found, wanted, equal_nan=True)


STEPS = [
    (Preprocess(kind="scale01"), {}),
    (Preprocess(kind="signed"), {}),
    (Preprocess(kind="mean_std", tensors={"mean": "m", "std": "s"}), {"m": (3,), "s": (3,)}),
    (Preprocess(kind="pixel_mean", tensors={"mean": "m"}), {"m": (3, 6, 5)}),
    (Preprocess(kind="gcn", options={"scale": 55.0, "norm": "std", "bias": 1.0}), {}),
    (Preprocess(kind="zca", tensors={"mean": "m", "matrix": "z"}), {"m": (90,), "z": (90, 90)}),
    (Preprocess(kind="lcn", options={"kernel": 5, "threshold": 1e-4}), {}),
]


@pytest.mark.parametrize(("step", "shapes"), STEPS, ids=lambda value: getattr(value, "kind", ""))
def test_preprocessing(step: Preprocess, shapes: dict[str, Any], runtime: browser.Browser) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (1, 6, 5, 3), dtype=np.uint8)
    own = {name: rng.random(shape, np.float32) + np.float32(0.1) for name, shape in shapes.items()}
    images = Images(height=6, width=5, channels=3, preprocess=(step,)).model_dump_json()
    tensors = ", ".join(f'{name}: {{data: floats("{text(array)}")}}' for name, array in own.items())
    call = f'texts(preprocessOf({images}, {{{tensors}}})(bytesOf("{text(pixels)}")))'
    found, wanted = floats(runtime.evaluate(call)), preprocess.apply(pixels, (step,), own).reshape(-1)
    if step.kind in ("gcn", "zca", "lcn"):
        assert np.allclose(found, wanted, rtol=1e-4, atol=1e-4)
    else:
        assert np.array_equal(found, wanted)


@pytest.mark.parametrize("size", [(50, 40), (23, 61), (8, 8), (32, 24)])
def test_a_picture_is_cut_and_resized_as_pil_does(size: tuple[int, int], runtime: browser.Browser) -> None:
    from bnn_train.packed.photo import resized_centre

    rng = np.random.default_rng(4)
    noise = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    wanted = resized_centre(noise, 12, 12, 14)
    rgba = np.dstack([noise, np.full(size, 255, np.uint8)])
    image = f'{{data: bytesOf("{text(rgba)}"), width: {size[1]}, height: {size[0]}}}'
    call = f"base64Of(pixelsOfPicture({image}, {{height: 12, width: 12, channels: 3, resize: 14}}))"
    found = np.frombuffer(base64.b64decode(runtime.evaluate(call)), np.uint8).reshape(12, 12, 3)
    assert np.abs(found.astype(int) - wanted.astype(int)).max() <= 1


def test_the_page_of_a_fault_tells_it(tmp_path: Path) -> None:
    path = tmp_path / "fault.html"
    path.write_text('<script>console.error("broken"); fetch("http://127.0.0.1:9/x").catch(() => 0);</script>')
    with browser.Browser() as found:
        found.open(path)
        found.evaluate("new Promise((done) => setTimeout(done, 50))")
        assert any("broken" in line for line in found.complaints)
        assert any(address.startswith("http://127.0.0.1:9") for address in found.requests)
        with pytest.raises(Exception, match=r"the page fails: ReferenceError: nothing"):
            found.evaluate("nothing.at.all")
