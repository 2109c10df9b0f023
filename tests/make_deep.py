"""PNG, TIFF and PNM files of any depth, byte by byte: PIL writes few of them."""

from __future__ import annotations

import struct
import zlib

SIDE = 4


def samples(bits: int, channels: int) -> bytes:
    """A square of ``SIDE`` pixels, no two bytes in a row alike."""
    return bytes(7 * i % 251 for i in range(SIDE * SIDE * channels * bits // 8))


def png(bits: int, colour: int, channels: int) -> bytes:
    """``colour``: 0 grey, 2 RGB, 4 grey and alpha, 6 RGB and alpha."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    data, row = samples(bits, channels), SIDE * channels * bits // 8
    rows = b"".join(b"\0" + data[at : at + row] for at in range(0, len(data), row))
    head = struct.pack(">2I5B", SIDE, SIDE, bits, colour, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, content) for kind, content in parts)


def tiff(
    bits: int,
    channels: int,
    *,
    photometric: int = 2,
    planes: bool = False,
    order: str = "<",
    real: bool = False,
    extra: bool = False,
) -> bytes:
    """Uncompressed, in one strip, or one for each plane. ``photometric``: 1 grey, 2 RGB, 5 CMYK."""
    data = samples(bits, channels)
    strips = channels if planes else 1
    size = len(data) // strips
    shorts = {
        256: [SIDE],
        257: [SIDE],
        258: [bits] * channels,
        259: [1],
        262: [photometric],
        277: [channels],
        278: [SIDE],
        284: [2 if planes else 1],
        **({338: [2]} if extra else {}),
        **({339: [3] * channels} if real else {}),
    }
    count = len(shorts) + 2
    outside = 8 + 2 + 12 * count + 4
    lengths = [2 * len(v) if len(v) > 2 else 0 for v in shorts.values()] + [8 * strips if strips > 1 else 0]
    begin = outside + sum(lengths)
    longs = {273: [begin + i * size for i in range(strips)], 279: [size] * strips}
    body, tail = b"", b""
    for tag, values in sorted({**shorts, **longs}.items()):
        kind, letter = (4, "I") if tag in longs else (3, "H")
        packed = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(packed) > 4:
            place = struct.pack(f"{order}I", outside + len(tail))
            tail, packed = tail + packed, place
        body += struct.pack(f"{order}HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HIH", 42, 8, count)
    return head + body + bytes(4) + tail + data


def pnm(kind: str, largest: int, channels: int) -> bytes:
    """P5 or P6, two bytes a sample where they are needed."""
    return f"{kind} {SIDE} {SIDE} {largest}\n".encode() + samples(16 if largest > 255 else 8, channels)


def plain_ppm(largest: int) -> bytes:
    """P3: the samples as text."""
    return f"P3 {SIDE} {SIDE} {largest}\n".encode() + b" ".join(b"%d" % (i % 200) for i in range(3 * SIDE**2))


DEEP: dict[str, bytes] = {
    "grey16.png": png(16, 0, 1),
    "rgb16.png": png(16, 2, 3),
    "la16.png": png(16, 4, 2),
    "rgba16.png": png(16, 6, 4),
    "grey12.tif": tiff(12, 1, photometric=1),
    "grey16.tif": tiff(16, 1, photometric=1),
    "rgb16.tif": tiff(16, 3),
    "rgb16_big.tif": tiff(16, 3, order=">"),
    "rgb16_planes.tif": tiff(16, 3, planes=True),
    "rgba16.tif": tiff(16, 4, extra=True),
    "cmyk16.tif": tiff(16, 4, photometric=5),
    "grey_float.tif": tiff(32, 1, photometric=1, real=True),
    "rgb16.ppm": pnm("P6", 65535, 3),
    "rgb10.ppm": pnm("P6", 1023, 3),
    "rgb10_plain.ppm": plain_ppm(1023),
    "grey16.pgm": pnm("P5", 65535, 1),
    "grey9.pgm": pnm("P5", 256, 1),
}
"""More than 8 bits in a channel."""

PLAIN: dict[str, bytes] = {
    "grey8.png": png(8, 0, 1),
    "rgb8.png": png(8, 2, 3),
    "la8.png": png(8, 4, 2),
    "rgba8.png": png(8, 6, 4),
    "grey8.tif": tiff(8, 1, photometric=1),
    "rgb8.tif": tiff(8, 3),
    "rgb8_planes.tif": tiff(8, 3, planes=True),
    "cmyk8.tif": tiff(8, 4, photometric=5),
    "rgb8.ppm": pnm("P6", 255, 3),
    "rgb6.ppm": pnm("P6", 63, 3),
    "rgb8_plain.ppm": plain_ppm(255),
    "grey8.pgm": pnm("P5", 255, 1),
}
"""Their siblings of 8 bits or fewer."""
