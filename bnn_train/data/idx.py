"""The idx format of MNIST and its kin. No torch."""

from __future__ import annotations

import math
import struct

import numpy as np
from numpy.typing import NDArray

from bnn_train.errors import DataError


def idx(content: bytes) -> NDArray[np.uint8]:
    """The array of unsigned bytes that an unpacked idx file holds. Raises DataError."""
    if content[:3] != b"\0\0\x08" or len(content) < 4 + 4 * content[3]:
        raise DataError("not an idx file of bytes")
    shape = struct.unpack(f">{content[3]}I", content[4 : 4 + 4 * content[3]])
    data = np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * len(shape))
    if math.prod(shape) != len(data):
        raise DataError(f"an idx file of {len(data)} bytes, and its head tells of {math.prod(shape)}")
    return data.reshape(shape)
