r"""Lists of decimal strings (PS3.5 6.2, VR DS) as float64, many numbers at a time.

A number of at most fifteen digits is a whole number, which a float64 holds exactly, over a power
of ten, which it holds too; the quotient is rounded once, so that it is the very number that
``float`` makes of the text. Everything else (exponents, spaces, more digits, rubbish) is left to
``float`` itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Words = NDArray[np.uint64]
Places = NDArray[np.intp]

#: Bytes that are worked on together: what is made of them stays in the processor's cache.
_GROUP = 1 << 17
_WIDTH = 8  # digits in a word
_MOST_DIGITS = 15
_PAD = b"0" * (2 * _WIDTH)
_MINUS, _PLUS, _POINT, _SEPARATOR = b"-+.\\"
_ZEROS = np.uint64(0x3030303030303030)
_ABOVE_NINE = np.uint64(0x7676767676767676)
_HIGH_BITS = np.uint64(0x8080808080808080)
_THREE = np.uint64(3)
_STEPS = tuple(
    (np.uint64(10**digits << bits | 1), np.uint64(bits), np.uint64(mask))
    for digits, bits, mask in (
        (1, 8, 0x00FF00FF00FF00FF),
        (2, 16, 0x0000FFFF0000FFFF),
        (4, 32, 0x00000000FFFFFFFF),
    )
)
_POWERS = 10 ** np.arange(_MOST_DIGITS + 1, dtype=np.uint64)
_POWERS_F = _POWERS.astype(np.float64)


def decimals(texts: Sequence[bytes]) -> list[Floats | None]:
    """The numbers of each text, separated by backslashes; None where a text is not a list of them.

    Padding at the end (spaces, NUL, one backslash) is passed over; an empty text has no numbers.
    """
    found: list[Floats | None] = []
    for group in _groups([text.rstrip(b" \0") for text in texts]):
        found += [_long(group[0])] if len(group[0]) > 2 * _GROUP else _group_decimals(group)
    return found


def _long(text: bytes) -> Floats | None:
    """One text that is longer than a group, piece by piece."""
    pieces: list[Floats] = []
    start = 0
    while start <= len(text):
        stop = text.rfind(b"\\", start, start + _GROUP) if len(text) - start > _GROUP else len(text)
        if stop <= start or text[stop - 1] in b"\\\0":  # an end of a piece would be passed over
            return exact_decimals(text)
        (values,) = _group_decimals([text[start:stop]])
        if values is None:
            return None
        pieces.append(values)
        start = stop + 1
    return np.concatenate(pieces)


def exact_decimals(text: bytes) -> Floats | None:
    """The same for one text, number by number."""
    text = text.rstrip(b" \0").removesuffix(b"\\")
    if b"_" in text:  # Python's own way to write 1_000
        return None
    try:
        return np.array([float(part) for part in text.split(b"\\")] if text else [], np.float64)
    except ValueError:
        return None


def _groups(texts: Sequence[bytes]) -> Iterator[list[bytes]]:
    group: list[bytes] = []
    size = 0
    for text in texts:
        group.append(text)
        size += len(text) + 1
        if size >= _GROUP:
            yield group
            group, size = [], 0
    if group:
        yield group


def _group_decimals(texts: list[bytes]) -> list[Floats | None]:
    buffer = b"".join((_PAD, b"\\".join(texts), b"\\"))
    lengths = np.array([len(text) + 1 for text in texts])
    ends, values, is_plain = _parse(buffer)
    stops = np.searchsorted(ends, np.cumsum(lengths) + len(_PAD) - 1) + 1
    starts = np.concatenate(([0], stops[:-1]))
    odd = np.add.reduceat(~is_plain, starts) if not is_plain.all() else np.zeros(len(texts))
    return [
        values[start:stop] if not strange else exact_decimals(text)
        for text, start, stop, strange in zip(
            texts, starts.tolist(), stops.tolist(), odd.tolist(), strict=True
        )
    ]


def _parse(buffer: bytes) -> tuple[Places, Floats, NDArray[np.bool_]]:
    """Where each number's separator is, the numbers, and which of them are right.

    `buffer` begins with `_PAD` and ends with a separator.
    """
    text = np.frombuffer(buffer, np.uint8)
    marks = np.flatnonzero((text == _SEPARATOR) | (text == _POINT))
    is_end = text[marks] == _SEPARATOR
    ends = marks[is_end]
    starts = np.concatenate(([len(_PAD)], ends[:-1] + 1))
    points = ends.copy()  # a number without a point has it at its end
    is_point = ~is_end
    points[np.cumsum(is_end)[is_point]] = marks[is_point]
    first = text[starts]
    is_negative = first == _MINUS
    starts += is_negative | (first == _PLUS)
    whole = points - starts
    broken = np.maximum(ends - points - 1, 0)
    digits = whole + broken
    is_plain = (whole >= 0) & (digits > 0) & (digits <= _MOST_DIGITS)
    np.clip(whole, 0, _MOST_DIGITS, out=whole)
    np.clip(broken, 0, _MOST_DIGITS, out=broken)
    if int(digits.max()) <= _WIDTH:  # both parts fit into one word
        words = _last_bytes(buffer, points, whole) >> (broken.astype(np.uint64) << _THREE)
        words |= _last_bytes(buffer, ends, broken)
        mantissa, has_digits = _eight_digits(words)
    else:
        mantissa, has_digits = _digits(buffer, points, whole)
        tail, tail_has_digits = _digits(buffer, ends, broken)
        mantissa *= _POWERS[broken]
        mantissa += tail
        has_digits &= tail_has_digits
    values = mantissa.astype(np.float64)
    values /= _POWERS_F[broken]
    np.negative(values, out=values, where=is_negative)
    return ends, values, is_plain & has_digits


def _digits(buffer: bytes, stops: Places, counts: Places) -> tuple[Words, NDArray[np.bool_]]:
    """The whole numbers that the `counts` (0..15) bytes before `stops` write, and if they do."""
    values, is_plain = _eight_digits(_last_bytes(buffer, stops, counts))
    if int(counts.max()) > _WIDTH:
        more = _last_bytes(buffer, stops - _WIDTH, np.maximum(counts - _WIDTH, 0))
        higher, more_is_plain = _eight_digits(more)
        values += higher * _POWERS[_WIDTH]
        is_plain &= more_is_plain
    return values, is_plain


def _last_bytes(buffer: bytes, stops: Places, counts: Places) -> Words:
    """The values of the last digits before `stops`, at most eight, last one in the highest byte."""
    every = np.ndarray((len(buffer) - _WIDTH + 1,), "<u8", buffer, strides=(1,))
    unused = np.maximum(_WIDTH - counts, 0).astype(np.uint64)
    unused <<= _THREE
    words: Words = every[stops - _WIDTH]
    words ^= _ZEROS
    words >>= unused
    words <<= unused
    return words


def _eight_digits(words: Words) -> tuple[Words, NDArray[np.bool_]]:
    """The whole numbers that eight digits each write, the first in the lowest byte."""
    is_plain = (((words + _ABOVE_NINE) | words) & _HIGH_BITS) == 0
    for factor, bits, mask in _STEPS:  # neighbours become one: 8 digits, 4 pairs, 2 fours
        words = words * factor
        words >>= bits
        words &= mask
    return words, is_plain
