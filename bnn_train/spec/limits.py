"""The limits of a preprocessing: a config asks for no more than a packed file may hold."""

from __future__ import annotations

MAX_RESIZE = 4096
"""Pixels of the shorter side before a crop."""
MAX_KERNEL = 255
"""Pixels along a side of LCN's window."""
MAX_WORK = 2**30
"""Products for one image before the first layer, about a second in numpy; LCN of 9×9 at 224² takes 2²⁵,
ZCA of 32×32×3 2²³."""
LEAST_REAL, MAX_REAL = 1e-30, 1e30
"""Between these, factors and sums of them stay finite in float32."""
