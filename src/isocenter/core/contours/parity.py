"""Many polygons at once: all edges of all slices in one pass.

The rule, the rounding and the order of operations are those of `kernels.fill_numpy`, so that a
polygon has the same pixels whichever draws it. Polygons of one slice combine by XOR.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

_GRID = float(1 << 30)
#: Crossings that are worked on together: enough for numpy, few enough for the cache.
_BATCH = 1 << 15
_WORD = 8
_ODD = np.uint64(0x0101010101010101)
_LAST_BYTE = np.uint64(56)
_SHIFTS = tuple(np.uint64(bits) for bits in (8, 16, 32))


def fill_stack(
    points: Floats, starts: Places, planes: Places, origin: tuple[int, int], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """The pixels of polygons in a stack of windows.

    Args:
        points: (n, 2) of (column, row), snapped (see `rasterise.snapped`), of all polygons.
        starts: where each polygon begins in `points`; none is empty.
        planes: for each polygon, the index of its plane.
        origin: row and column of the first pixel of the window.
        shape: planes, rows, columns.

    Returns:
        bool of `shape`; its rows may lie apart in memory.
    """
    count, height, width = shape
    stride = -(-width // _WORD) * _WORD
    toggles = np.zeros(count * height * stride, dtype=np.uint8)
    lengths = np.diff(np.append(starts, len(points)))
    plane_of = np.repeat(planes, lengths)
    following = np.arange(1, len(points) + 1)
    following[starts + lengths - 1] = starts
    for first in range(0, len(points), _BATCH):
        part = slice(first, first + _BATCH)
        edges = points[part], points[following[part]]
        base = plane_of[part] * (height * stride)
        for where in _crossings(*edges, base, origin, (height, width, stride)):
            np.add.at(toggles, where, np.uint8(1))  # 256 crossings of one pixel are even, too
    rows = toggles.view("<u8").reshape(count * height, stride // _WORD)
    step = max(1, (_BATCH << 3) // stride)
    for first in range(0, len(rows), step):
        _spread(rows[first : first + step])
    return toggles.view(np.bool_).reshape(count, height, stride)[:, :, :width]


def _crossings(
    start: Floats, end: Floats, base: Places, origin: tuple[int, int], size: tuple[int, int, int]
) -> Iterator[Places]:
    """Places, counted from the first plane, of the first pixel behind each crossing of a row."""
    (top, left), (height, width, stride) = origin, size
    # An edge crosses the rows whose centre is at or below its upper end and above its lower end.
    first = np.clip(np.ceil(start[:, 1]), top, top + height).astype(np.intp)
    last = np.clip(np.ceil(end[:, 1]), top, top + height).astype(np.intp)
    used = np.flatnonzero(first != last)
    if used.size == 0:
        return
    first, last, base = first[used], last[used], base[used] - top * stride
    start, end = start[used], end[used]
    swap = start[:, 1] > end[:, 1]
    x1, y1 = np.where(swap, end[:, 0], start[:, 0]), np.where(swap, end[:, 1], start[:, 1])
    x2, y2 = np.where(swap, start[:, 0], end[:, 0]), np.where(swap, start[:, 1], end[:, 1])
    across, down = x2 - x1, y2 - y1
    counts = np.abs(last - first)
    np.minimum(first, last, out=first)
    total = np.cumsum(counts)
    cuts = np.searchsorted(total, np.arange(_BATCH, int(total[-1]) + _BATCH, _BATCH)) + 1
    begin = 0
    for stop in np.minimum(cuts, len(counts)).tolist():
        part = slice(begin, stop)
        begin = stop
        repeats = counts[part]
        edge = np.repeat(np.arange(part.start, part.stop), repeats)
        rows = np.arange(edge.size)
        rows += np.repeat(first[part] - (np.cumsum(repeats) - repeats), repeats)
        crossing = x1[edge] + (rows - y1[edge]) * across[edge] / down[edge]
        columns = np.ceil(np.rint(crossing * _GRID) / _GRID) - left
        seen = columns < width
        places = base[edge] + rows * stride + np.maximum(columns, 0).astype(np.intp)
        yield places if seen.all() else places[seen]


def _spread(words: NDArray[np.uint64]) -> None:
    """Turns crossings, a byte each, into what lies behind an odd number of them in its row."""
    words &= _ODD
    for bits in _SHIFTS:
        words ^= words << bits
    before = np.bitwise_xor.accumulate(words >> _LAST_BYTE, axis=1)
    words[:, 1:] ^= before[:, :-1] * _ODD
