"""Windows over maps: ordinary ones, and those whose kernel, stride, padding or dilation is extreme."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bnn_train.packed.program import Geometry
from fuzz.draw import Draw

FREE = 16
"""Padding that a window of any extent may have; else half of its extent."""
TALL = (17, 63, 64, 65, 127, 255, 256, 1000, 4095, 4096, 65535, 65536)
FAR = (255, 256, 4095, 2**15, 2**16, 2**23, 2**23 + 1, 2**24 - 1, 2**24)


class Line(NamedTuple):
    """One direction of a window."""

    kernel: int
    stride: int
    padding: int
    dilation: int

    def reach(self) -> int:
        """Pixels from the first tap to the last, both included."""
        return (self.kernel - 1) * self.dilation + 1

    def steps(self, size: int) -> int:
        """Output pixels, 0 or fewer where the window does not fit."""
        return (size + 2 * self.padding - self.reach()) // self.stride + 1


class Room(NamedTuple):
    """The most taps and output pixels of a direction."""

    taps: int
    steps: int


def line(draw: Draw, size: int, room: Room) -> Line:
    """A direction that fits over ``size`` pixels."""
    for _ in range(6):
        found = draw.one(_STYLES)(draw, size, room)
        if draw.often(0.95):
            most = min(max(found.reach() // 2, FREE), 2**24 - 1)
            found = found._replace(padding=min(found.padding, most))
        if found.kernel <= room.taps and 1 <= found.steps(size) <= room.steps:
            return found
    return Line(1, -(-size // room.steps), 0, 1)


def geometry(draw: Draw, height: int, width: int, taps: int, pixels: int) -> Geometry:
    """A window of one group with no more taps, and no more pixels in its result, than said."""
    across = draw.often(0.5)
    first, second = (width, height) if across else (height, width)
    one = line(draw, first, Room(taps, pixels))
    left = Room(max(1, taps // one.kernel), max(1, pixels // one.steps(first)))
    two = line(draw, second, left)
    if draw.often(0.4) and height == width and _fits(one, left, height):
        two = one
    rows, columns = (two, one) if across else (one, two)
    kernel, stride, padding, dilation = zip(rows, columns, strict=True)
    return Geometry(kernel=kernel, stride=stride, padding=padding, dilation=dilation)


def wrapping(draw: Draw, height: int, width: int) -> Geometry:
    """A window whose padded map has a power of two rows and columns, so that a product of sizes wraps."""
    lines = []
    for size in (height, width):
        total = draw.one((2**15, 2**16, 2**24, 2**24))
        half = min(total // 2, 2**24 - 1)
        lines.append(draw.one((Line(1, total - 1, half, 1), Line(2, size + 1, half, total - 1))))
    kernel, stride, padding, dilation = zip(*lines, strict=True)
    return Geometry(kernel=kernel, stride=stride, padding=padding, dilation=dilation)


def result_size(g: Geometry, height: int, width: int, ceil: bool = False) -> tuple[int, int]:
    """Rows and columns of a window's result."""
    sizes = []
    for d, size in enumerate((height, width)):
        own = Line(g.kernel[d], g.stride[d], g.padding[d], g.dilation[d])
        room = size + 2 * own.padding - own.reach()
        steps = (-(-room // own.stride) if ceil else room // own.stride) + 1
        if ceil and (steps - 1) * own.stride >= size + own.padding:
            steps -= 1
        sizes.append(steps)
    return sizes[0], sizes[1]


def _fits(one: Line, room: Room, size: int) -> bool:
    return one.kernel <= room.taps and one.steps(size) <= room.steps


def _plain(draw: Draw, size: int, room: Room) -> Line:
    kernel = draw.one((1, 2, 3, 3, 5, 7))
    padding = draw.one((0, kernel // 2, kernel // 2, kernel - 1))
    return Line(kernel, draw.one((1, 1, 2, 3)), padding, draw.one((1, 1, 1, 2, 3)))


def _whole(draw: Draw, size: int, room: Room) -> Line:
    return Line(size, draw.one((1, size, *FAR)), draw.one((0, 0, size // 2, size - 1)), 1)


def _tall(draw: Draw, size: int, room: Room) -> Line:
    kernel = min(room.taps, draw.one((size + 1, size + 2, 2 * size, *TALL)))
    missing = max(0, kernel - size)
    padding = draw.one(((missing + 1) // 2, missing, kernel // 2, kernel - 1, kernel))
    return Line(kernel, _stride(draw, size, room, kernel, padding), padding, 1)


def _strided(draw: Draw, size: int, room: Room) -> Line:
    kernel = draw.one((1, 1, 2, 3))
    return Line(kernel, draw.one((size, size + 1, *FAR)), draw.one((0, kernel // 2, kernel - 1)), 1)


def _padded(draw: Draw, size: int, room: Room) -> Line:
    kernel = draw.one((1, 1, 2, 3, 5))
    padding = draw.one((kernel - 1, kernel, kernel // 2 + 1, FREE, FREE + 1, size, *FAR[:-1]))
    return Line(kernel, _stride(draw, size, room, kernel, padding), padding, 1)


def _dilated(draw: Draw, size: int, room: Room) -> Line:
    kernel = draw.one((2, 2, 3, 4))
    near = (max(1, size - 1), size, size + 1, 2 * size, 15)
    dilation = draw.one(FAR if draw.often(0.3) else near)
    reach = (kernel - 1) * dilation + 1
    padding = draw.one((max(0, reach - size + 1) // 2, reach // 2, reach // 2 + 1, dilation, reach - 1))
    return Line(kernel, _stride(draw, size, room, reach, padding), padding, dilation)


def _stride(draw: Draw, size: int, room: Room, reach: int, padding: int) -> int:
    """The least stride that the room allows, or a larger one."""
    least = max(1, (size + 2 * padding - reach) // room.steps)
    return draw.one((least, least + 1, 2 * least, size + padding, *FAR[-3:]))


_STYLES: tuple[Callable[[Draw, int, Room], Line], ...] = (
    *(_plain,) * 5, *(_whole,) * 2, *(_tall,) * 2, *(_strided,) * 2, _padded, *(_dilated,) * 2,
)  # fmt: skip
