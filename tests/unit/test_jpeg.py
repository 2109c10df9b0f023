"""Bad and odd files: the same outcome with either JPEG decoder, an image or a sentence."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bnn_train.errors import ImageError
from bnn_train.packed import jpeg
from bnn_train.packed.photo import Photo, read_photo
from make_data import pixels

ORIENTATION = 0x0112


def picture(width: int = 41, height: int = 35, mode: str = "RGB") -> Image.Image:
    coarse = Image.fromarray(pixels(1, 3, 6)[0].transpose(1, 2, 0))
    return coarse.resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    return encoded(picture(), exif=exif)


def header_of(width: int, height: int) -> bytes:
    """A JPEG whose frame header claims another size."""
    content = encoded(picture())
    at = content.index(b"\xff\xc0") + 5
    return content[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + content[at + 4 :]


def overwritten(content: bytes, at: int) -> bytes:
    return content[:at] + b"U" * 64 + content[at + 64 :]


GOOD = {
    **{f"subsampling {s}": encoded(picture(), quality=90, subsampling=s) for s in (0, 1, 2)},
    "progressive": encoded(picture(), progressive=True),
    "grey": encoded(picture(mode="L")),
    "CMYK": encoded(picture(mode="CMYK")),
    "one pixel": encoded(picture(1, 1)),
    "eight by nine": encoded(picture(8, 9), quality=30),
    "quality 1": encoded(picture(), quality=1),
    "PNG named JPEG": encoded(picture(), "PNG"),
    "EXIF turned": turned(),
    "damaged EXIF": encoded(picture(), exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff"),
    "bytes behind the end": encoded(picture()) + b"\0" * 100,
    "64 other bytes in the middle": overwritten(encoded(picture(300, 200), quality=95), -3000),
}
BAD = {
    "empty": b"",
    "random": np.random.default_rng(0).bytes(500),
    "HTML": b"<html><body>404</body></html>",
    "only the beginning": encoded(picture())[:100],
    "truncated": encoded(picture(300, 200), quality=95)[:-5000],
    "a huge header": header_of(60_000, 60_000),
    "too elongated": header_of(41, 41 * 101),
    "no size": header_of(0, 0),
    "no end marker": encoded(picture())[:-2],
    "PNG cut off": encoded(picture(), "PNG")[:-100],
    "real numbers in a TIFF": encoded(Image.fromarray(np.ones((9, 9), np.float32)), "TIFF"),
}


def outcome(path: Path, mode: str, exif: Any) -> Photo | str:
    try:
        return read_photo(path, mode, exif)
    except ImageError as error:
        return str(error)


@pytest.mark.parametrize("exif", ["ignore", "apply"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("name", [*GOOD, *BAD])
def test_both_decoders_agree(
    name: str, mode: str, exif: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("simplejpeg", reason="pip install 'bnn-train[jpeg]'")
    path = tmp_path / "a.JPEG"
    path.write_bytes({**GOOD, **BAD}[name])
    fast = outcome(path, mode, exif)
    monkeypatch.setattr(jpeg, "library", lambda: None)
    plain = outcome(path, mode, exif)
    if isinstance(fast, str) or isinstance(plain, str):
        assert fast == plain
    else:
        assert fast.turned == plain.turned
        np.testing.assert_array_equal(fast.pixels, plain.pixels)


@pytest.mark.parametrize("name", GOOD)
def test_good_files_are_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.JPEG"
    path.write_bytes(GOOD[name])
    found = outcome(path, "RGB", "ignore")
    assert isinstance(found, Photo)
    assert (str(found.pixels.dtype), found.pixels.shape[2]) == ("uint8", 3)
    assert found.turned == (name == "EXIF turned")


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_a_sentence(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.JPEG"
    path.write_bytes(BAD[name])
    found = outcome(path, "RGB", "ignore")
    assert isinstance(found, str)
    assert found.startswith(f"{path}: ")
    assert "\n" not in found


def test_the_fast_decoder_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Counting:
        calls = 0

        def decode_jpeg(self, content: bytes, _colours: str) -> np.ndarray[Any, Any]:
            self.calls += 1
            return np.asarray(Image.open(io.BytesIO(content)))

    counting = Counting()
    monkeypatch.setattr(jpeg, "library", lambda: counting)
    path = tmp_path / "a.JPEG"
    for name in ("subsampling 2", "CMYK", "PNG named JPEG"):
        path.write_bytes(GOOD[name])
        read_photo(path, "RGB")
    assert counting.calls == 1


@pytest.mark.parametrize("name", ["64 other bytes in the middle", "truncated"])
def test_damage_that_pillow_does_not_tell(name: str) -> None:
    pytest.importorskip("simplejpeg", reason="pip install 'bnn-train[jpeg]'")
    assert jpeg.damaged({**GOOD, **BAD}[name])
    assert not jpeg.damaged(GOOD["subsampling 2"])
    assert not jpeg.damaged(GOOD["grey"])
    assert not jpeg.damaged(GOOD["CMYK"])
