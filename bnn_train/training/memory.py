"""Keep freed memory in the process: a training step frees and takes the same large blocks again and again."""

from __future__ import annotations

import ctypes

# mallopt's parameters in glibc's malloc.h
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> None:
    """Tell glibc not to hand freed blocks back to the kernel, which would zero each page anew.

    By default every tensor of more than 32 MiB, and many a smaller one, costs a page fault per 4 KiB in
    every step. With another C library nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    for parameter, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 64 * 2**20)):
        mallopt(parameter, value)
