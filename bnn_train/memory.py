"""Keep freed memory in the process: a training step frees and takes the same blocks again and again."""

from __future__ import annotations

import ctypes

MIB = 2**20
# mallopt's parameters in glibc's malloc.h, and the values set here
_SETTINGS = {
    -3: 32 * MIB,  # M_MMAP_THRESHOLD: the largest value glibc takes; bigger blocks still go back at once
    -1: 512 * MIB,  # M_TRIM_THRESHOLD: what may stay free at the top of the heap
    -2: 64 * MIB,  # M_TOP_PAD: the heap grows by this much at a time
}


def keep_freed_memory() -> None:
    """Tell glibc not to hand freed blocks back to the kernel, which would zero each page anew.

    By default a weight of 16 MiB costs 4,096 page faults whenever it is quantized. At most 512 MiB more than
    needed stay with the process. With another C library nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    for parameter, value in _SETTINGS.items():
        mallopt(parameter, value)
