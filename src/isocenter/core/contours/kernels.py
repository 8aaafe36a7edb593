"""The inner loop of the rasteriser: in numpy, and in numba where that pays.

numba is not imported with this module. Its compiled code is kept beside the
package, or in the user's cache folder where the package cannot be written, or is made anew in
memory where neither can (``NUMBA_CACHE_DIR`` overrides all).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

Fill = Callable[[NDArray[np.float64], int, int, NDArray[np.uint8]], None]

_GRID = float(1 << 30)


def fill_numpy(
    polygon: NDArray[np.float64], row: int, column: int, toggles: NDArray[np.uint8]
) -> None:
    """`fill` in numpy alone."""
    height, width = toggles.shape
    start, end = polygon, np.roll(polygon, -1, axis=0)
    swap = start[:, 1] > end[:, 1]
    x1, y1 = np.where(swap[:, None], end, start).T
    x2, y2 = np.where(swap[:, None], start, end).T
    # An edge crosses the rows whose centre is at or below its upper end and above its lower end.
    first = np.maximum(np.ceil(y1), row).astype(np.int64)
    count = np.minimum(np.ceil(y2), row + height).astype(np.int64) - first
    used = count > 0
    first, count = first[used], count[used]
    if first.size == 0:
        return
    edge = np.repeat(np.flatnonzero(used), count)
    rows = np.arange(edge.size) - np.repeat(np.cumsum(count) - count, count)
    rows += np.repeat(first, count)
    x1, y1, x2, y2 = x1[edge], y1[edge], x2[edge], y2[edge]
    crossing = x1 + (rows - y1) * (x2 - x1) / (y2 - y1)
    crossing = np.ceil(np.rint(crossing * _GRID) / _GRID) - column
    seen = crossing < width
    columns = np.maximum(crossing[seen], 0).astype(np.int64)
    flat = (rows[seen] - row) * width + columns
    odd = np.bincount(flat, minlength=height * width) & 1
    np.bitwise_xor.accumulate(odd.astype(np.uint8).reshape(height, width), axis=1, out=toggles)


class _Chooser:
    """numpy at first; numba once the work is worth its start.

    Importing numba and loading its code takes about as long as numpy needs for 20 000 contours,
    so it is paid for only when numpy has already worked that long: at worst twice the best.
    The masks are the same, so nobody sees which one drew them.
    """

    def __init__(self) -> None:
        self.spent_s = 0.0
        self.fast: Fill | None = None
        self.has_numba = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")

    def __call__(
        self, polygon: NDArray[np.float64], row: int, column: int, toggles: NDArray[np.uint8]
    ) -> None:
        if self.fast is None and self.has_numba and self.spent_s > NUMBA_START_S:
            try:
                self.fast = compiled()
            except ImportError:
                self.has_numba = False
        if self.fast is not None:
            self.fast(polygon, row, column, toggles)
            return
        started = time.perf_counter()
        fill_numpy(polygon, row, column, toggles)
        self.spent_s += time.perf_counter() - started


#: What importing numba and loading its compiled code costs.
NUMBA_START_S = 1.5

#: Fills `toggles` (height, width; zeros before) with 1 where a pixel centre is inside.
#: `polygon` is (n, 2) of (column, row), snapped; `row` and `column` are those of the first pixel
#: of `toggles`.
fill: Fill = _Chooser()


@cache
def compiled() -> Fill:
    """`fill` compiled by numba, which is imported here.

    Raises:
        ImportError: there is no numba.
    """
    from numba import njit

    try:
        return _compile(njit(cache=True, nogil=True))
    except RuntimeError:  # "no locator available": no folder for the cache can be written
        return _compile(njit(nogil=True))


def _compile(decorate: Callable[[Fill], Fill]) -> Fill:
    function = decorate(_fill_loop)
    probe = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    function(probe, 0, 0, np.zeros((1, 1), dtype=np.uint8))
    return function


def _fill_loop(
    polygon: NDArray[np.float64], row: int, column: int, toggles: NDArray[np.uint8]
) -> None:
    height, width = toggles.shape
    grid = 1073741824.0
    previous = polygon.shape[0] - 1
    for current in range(polygon.shape[0]):
        x1, y1 = polygon[previous, 0], polygon[previous, 1]
        x2, y2 = polygon[current, 0], polygon[current, 1]
        previous = current
        if y1 > y2:
            x1, y1, x2, y2 = x2, y2, x1, y1
        first = max(int(np.ceil(y1)), row)
        last = min(int(np.ceil(y2)), row + height)
        for r in range(first, last):
            crossing = x1 + (r - y1) * (x2 - x1) / (y2 - y1)
            c = int(np.ceil(np.rint(crossing * grid) / grid)) - column
            if c < width:
                toggles[r - row, max(c, 0)] ^= 1
    for r in range(height):
        inside = np.uint8(0)
        for c in range(width):
            inside ^= toggles[r, c]
            toggles[r, c] = inside
