"""The page as a format of export: what it holds, that it works by hand, and what it refuses."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnn_train.errors import DataError, ExportError
from bnn_train.export.targets.target import Content
from bnn_train.export.targets.web import browser, examples, facts, limits, page
from bnn_train.export.targets.web.target import TARGET, Options
from bnn_train.packed import PackedModel, container
from packed_programs import Made, header_of, single_conv

needs_browser = pytest.mark.skipif(browser.find() is None, reason="needs Chromium or Chrome")
ZOO = Path(__file__).resolve().parents[2] / "configs/zoo"
DIGIT_3 = [
    *((0.3, 0.25), (0.45, 0.15), (0.62, 0.2), (0.65, 0.33), (0.5, 0.46), (0.42, 0.47)),
    *((0.55, 0.48), (0.7, 0.6), (0.66, 0.78), (0.48, 0.86), (0.3, 0.78)),
]
DIGIT_0 = [(0.5 + 0.2 * math.sin(t / 2.55), 0.5 - 0.33 * math.cos(t / 2.55)) for t in range(17)]


def content_of(made: Made, **changes: Any) -> Content:
    return Content(header_of(made).model_copy(update=changes), made.tensors)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the zoo's digits."""
    path = tmp_path_factory.mktemp("web") / "digits.html"
    told = TARGET.write(Content(*container.read(ZOO / "digits/model.bnn")), path, Options())
    assert "needs nothing else" in told[0]
    return path


@pytest.fixture(scope="module")
def opened(written: Path) -> Iterator[browser.Browser]:
    """It in a browser, on a screen of 1200×900."""
    with browser.Browser() as found:
        found.call(
            "Emulation.setDeviceMetricsOverride", width=1200, height=900, deviceScaleFactor=1, mobile=False
        )
        found.open(written)
        yield found


def test_the_page_is_small_and_carries_its_file(written: Path) -> None:
    assert written.stat().st_size <= 150_000
    assert page.is_page(written)
    assert page.packed_in(written) == (ZOO / "digits/model.bnn").read_bytes()
    text = written.read_text(encoding="utf-8")
    assert text.count("http") == text.count("http-equiv") + text.count("http://www.w3.org/2000/svg")


@needs_browser
def test_its_logits_are_those_of_the_packed_file(written: Path) -> None:
    model = PackedModel.from_parts(*container.read(ZOO / "digits/model.bnn"), isa="reference")
    images = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 1), dtype=np.uint8)
    assert TARGET.open is not None
    found = TARGET.open(written)
    assert found.runtime.startswith("its own script, Chrom")
    assert np.array_equal(found.logits(images), model(images))
    assert found.logits(images[:0]).shape == (0, 10)


def drawn(opened: browser.Browser, points: list[tuple[float, float]]) -> str:
    """The answer to a stroke of the mouse."""
    opened.evaluate('document.getElementById("clear").click()')
    place = 'JSON.stringify(document.getElementById("pad").getBoundingClientRect())'
    box = json.loads(opened.evaluate(place))
    for i, (x, y) in enumerate(points):
        kind = "mousePressed" if i == 0 else "mouseMoved"
        at = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
        opened.call("Input.dispatchMouseEvent", type=kind, **at, button="left", buttons=1, clickCount=1)
    opened.call("Input.dispatchMouseEvent", type="mouseReleased", **at, button="left", clickCount=1)
    return answered(opened)


def answered(opened: browser.Browser) -> str:
    opened.evaluate("new Promise((done) => setTimeout(done, 300))")
    return str(opened.evaluate('document.querySelector("#answer b")?.textContent ?? ""'))


@needs_browser
def test_a_drawn_digit_is_read_and_lights_go_on(opened: browser.Browser) -> None:
    assert drawn(opened, DIGIT_3) == "3"
    assert opened.evaluate("layers.map(({lights}) => lights.now.some((v) => v === 1)).join()") == "true,true"
    assert drawn(opened, DIGIT_0) == "0"
    opened.evaluate('document.getElementById("clear").click()')
    assert answered(opened) == ""
    assert opened.complaints == []
    assert [address[:5] for address in opened.requests] == ["file:"]


@needs_browser
def test_it_is_used_by_keys_alone(opened: browser.Browser) -> None:
    opened.evaluate('document.getElementById("pad").focus()')

    def press(key: str, times: int = 1) -> None:
        for _ in range(times):
            opened.call("Input.dispatchKeyEvent", type="keyDown", key=key)
            opened.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    press("ArrowUp", 8)
    press(" ")
    press("ArrowDown", 16)
    press(" ")
    assert answered(opened) == "1"
    opened.evaluate("layers[1].canvas.focus()")
    press("ArrowRight", 3)
    said = opened.evaluate("layers[1].line.textContent")
    assert said.startswith("Bit 3 is ")
    assert " of 512 inputs agree with its weights; it lights " in said


@needs_browser
def test_examples_and_pictures(opened: browser.Browser) -> None:
    answers = [
        str(opened.evaluate(f"document.querySelectorAll('#examples button')[{i}].click(); {BEST}"))
        for i in range(10)
    ]
    assert sum(answer == str(i) for i, answer in enumerate(answers)) >= 9
    assert opened.evaluate(PHOTO) == "1"


BEST = "answer.best"
PHOTO = """(() => {
  const canvas = document.createElement("canvas"), context = canvas.getContext("2d");
  canvas.width = 400; canvas.height = 300;
  context.fillStyle = "#d8d2c4"; context.fillRect(0, 0, 400, 300);
  context.strokeStyle = "#223"; context.lineWidth = 16; context.lineCap = "round";
  context.beginPath(); context.lineTo(195, 60); context.lineTo(190, 240); context.stroke();
  looked(canvas, 400, 300);
  return answer.best;
})()"""


def test_texts_of_a_file_are_no_markup(tmp_path: Path) -> None:
    made = single_conv(results="f32", outputs=3)
    content = content_of(made, classes=("</script><b>", "b", "c"), method="<i>x</i>")
    TARGET.write(content, tmp_path / "a.html", Options(title="<u>{{packed}}</u>", examples="no"))
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "<i>x" not in text
    assert "</script><b>" not in text
    assert text.count("<u>") == 0
    assert page.packed_in(tmp_path / "a.html") == container.pack(content.header, dict(content.tensors))


def test_sums_beyond_javascript_are_refused_by_layer() -> None:
    made = single_conv(source="u8", channels=3, gain=True)
    limits.check(header_of(made), made.tensors, 1000)
    gains = np.full(500_000, 2**23 - 1, np.int32)
    with pytest.raises(ExportError, match=r"^conv: its sums of pixels reach \d.*--first-layer int16 or int8"):
        limits.check(header_of(made), {**made.tensors, "conv.gain": gains}, 1000)
    whole = single_conv(source="u8", channels=3, weight="int3")
    limits.check(header_of(whole), whole.tensors, 1000)
    with pytest.raises(ExportError, match="a page carries at most"):
        limits.check(header_of(whole), whole.tensors, 2**30)


def test_what_is_exact() -> None:
    assert limits.is_exact(header_of(single_conv()))
    assert not limits.is_exact(header_of(single_conv(source="f32", weight="f32")))


def test_facts() -> None:
    header, tensors = container.read(ZOO / "digits/model.bnn")
    rows = facts.rows(header, tensors, 1, "digits")
    weights = 64 * 512 + 512 * 512 + 512 * 10
    assert facts.one_bit_weights(header.program, tensors) == weights
    assert rows["One-bit weights"] == f"{weights:,}"
    assert rows["Bit products"] == f"{512 * 512 + 512 * 10:,} an image, 32 at a time"


def test_examples_follow_their_licence(tmp_path: Path) -> None:
    header, _ = container.read(ZOO / "digits/model.bnn")
    pixels, labels, said = examples.examples(header, "auto", "")
    assert (pixels.shape, labels, said) == ((10, 8, 8, 1), tuple(range(10)), "")
    other = header.model_copy(update={"experiment": {**header.experiment, "data": {"name": "cifar10"}}})
    assert (
        "the authors of CIFAR-10 state no licence; --with examples=yes"
        in examples.examples(other, "auto", "")[2]
    )
    with pytest.raises(ExportError, match=r"^no example images: .*--with data=FOLDER"):
        examples.examples(other, "yes", str(tmp_path))
    assert examples.examples(header, "no", "")[1] == ()


def test_other_files_are_no_pages(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    assert not page.is_page(path)
    path.write_text("<!DOCTYPE html><title>x</title>")
    assert not page.is_page(path)
    with pytest.raises(DataError, match="carries no packed network"):
        page.packed_in(path)
    path.write_text('<script id="packed" type="text/plain">AAAA</script>')
    assert TARGET.open is not None
    with pytest.raises(DataError, match=r"the network in it is damaged .*export it again"):
        TARGET.open(path)
    path.write_text('<script id="packed" type="text/plain">AAA</script>')
    with pytest.raises(DataError, match="its packed network is damaged"):
        page.packed_in(path)


def test_without_a_browser_it_is_told(monkeypatch: pytest.MonkeyPatch, written: Path) -> None:
    monkeypatch.setenv(browser.VARIABLE, "/no/such/browser")
    assert TARGET.open is not None
    with pytest.raises(ExportError, match="run by Chromium or Chrome, which is not here"):
        TARGET.open(written)
