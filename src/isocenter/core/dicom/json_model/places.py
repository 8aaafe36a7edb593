"""Where a value lies in its file, by the place that a BulkDataURI names.

A place is a tag, as ``7FE00010``; in sequences item numbers from 0 and tags follow each other:
``00540016/0/7FE00010``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from isocenter.core.dicom.bounds import DEFAULT_BOUNDS, Bounds
from isocenter.core.dicom.json_model.dictionary import public_vr
from isocenter.core.dicom.json_model.elements import (
    ITEM_END,
    MAX_INFLATED_BYTES,
    UNDEFINED,
    Elements,
    Head,
    Item,
    OpenedFile,
    opened,
)
from isocenter.core.dicom.json_model.values import WORD_BYTES, words_turned
from isocenter.core.errors import BoundsError, DataSetError, NotFound

_PLACE = re.compile(r"[0-9A-Fa-f]{8}(?:/[0-9]{1,7}/[0-9A-Fa-f]{8})*", re.ASCII)
_MAX_PLACE = 1024
Range = tuple[int, int]
_PIECE_BYTES = 1 << 20  # a whole number of words


@dataclass(frozen=True, slots=True)
class MadeValue:
    """A value that does not lie in its file as it has to be sent: it is deflated, or big endian.
    It is made a piece at a time, so that no more than a piece is in memory.

    Attributes:
        start: of the value in the data set, which may have to be inflated so far.
        length: in bytes.
        word: bytes of a word whose order is turned; 1: nothing is.
    """

    path: Path
    bounds: Bounds
    start: int
    length: int
    word: int

    def pieces(self, first: int = 0, length: int | None = None) -> Iterator[bytes]:
        """So many of the bytes from ``first`` on.

        Raises:
            DicomError: the file cannot be read that far.
            OSError: it cannot be opened.
        """
        end = self.length if length is None else min(self.length, first + length)
        with opened(self.path, self.bounds) as file:
            for begin in range(first - first % self.word, end, _PIECE_BYTES):
                wanted = min(_PIECE_BYTES, self.length - begin)
                piece = file.elements.raw(self.start + begin, wanted)
                if len(piece) < wanted:
                    raise DataSetError("the data set ends inside the value")
                turned = words_turned(piece, self.word)
                yield turned[max(0, first - begin) : end - begin]


@dataclass(frozen=True, slots=True)
class Location:
    """A value that was found.

    Attributes:
        tag, vr: of its element.
        transfer_syntax_uid: of the file.
        ranges: (offset, length) in the file; of an encapsulated value its fragments without the
            offset table. Empty where ``made`` has the bytes.
        made: a value that does not lie in the file as it has to be sent.
        is_encapsulated: the value is fragments (PS3.5 A.4).
        is_top_level: it is in no sequence.
    """

    tag: int
    vr: str
    transfer_syntax_uid: str
    ranges: tuple[Range, ...]
    made: MadeValue | None
    is_encapsulated: bool
    is_top_level: bool


def locate(path: Path, place: str, bounds: Bounds = DEFAULT_BOUNDS) -> Location:
    """Find a value.

    Raises:
        NotFound: the place is none, or there is no value at it.
        DicomError: the file cannot be read that far.
        OSError: it cannot be opened.
    """
    steps = _steps(place)
    with opened(path, bounds) as file:
        elements = file.elements
        found = _Finder(elements).find(steps)
        if found is None:
            raise NotFound(f"there is nothing at {place.upper()} in the instance")
        head = found
        vr = head.vr if head.vr not in ("", "UN") else public_vr(head.tag, signed=False)
        if elements.is_encapsulated(head):
            if file.offset is None:
                raise DataSetError("encapsulated pixel data in a deflated data set")
            ranges = tuple(
                (file.offset + position, length)
                for number, (position, length) in enumerate(elements.fragments(head))
                if number
            )
            made = None
        else:
            if head.length == UNDEFINED or vr == "SQ":
                raise NotFound(f"what is at {place.upper()} is a sequence")
            ranges, made = _value(path, bounds, file, head, vr)
        if not head.length or not (ranges or made):
            raise NotFound(f"the attribute at {place.upper()} is empty")
        syntax = elements.meta.transfer_syntax_uid
        return Location(
            head.tag, vr, syntax, ranges, made, elements.is_encapsulated(head), len(steps) == 1
        )


def _steps(place: str) -> list[int]:
    """Tag, item, tag, item, tag …"""
    if len(place) > _MAX_PLACE or not _PLACE.fullmatch(place):
        raise NotFound("no place of bulk data", hint="as 7FE00010 or 00540016/0/7FE00010")
    parts = place.split("/")
    return [int(part, 10 if number % 2 else 16) for number, part in enumerate(parts)]


def _value(
    path: Path, bounds: Bounds, file: OpenedFile, head: Head, vr: str
) -> tuple[tuple[Range, ...], MadeValue | None]:
    elements, offset = file.elements, file.offset
    if elements.size is not None and head.start + head.length > elements.size:
        raise DataSetError("the data set ends inside the value")
    is_turned = elements.big_endian and head.vr != "UN" and vr in WORD_BYTES
    if offset is not None and not is_turned:
        return ((offset + head.start, head.length),) if head.length else (), None
    if head.start + head.length > MAX_INFLATED_BYTES:
        raise BoundsError(
            f"a value of {head.length} bytes in a deflated or big endian file; "
            f"at most {MAX_INFLATED_BYTES} are read"
        )
    word = WORD_BYTES.get(vr, 1) if is_turned else 1
    return (), MadeValue(path, bounds, head.start, head.length, word)


class _Finder:
    """Goes down a path without decoding a value."""

    def __init__(self, elements: Elements) -> None:
        self._elements = elements

    def find(self, steps: list[int]) -> Head | None:
        """The head of the element; None if it is not there."""
        item = Item(0, None, self._elements.implicit)
        for depth in range(0, len(steps), 2):
            head = self._element(item, steps[depth], depth // 2)
            if head is None or depth + 1 == len(steps):
                return head
            below = self._item(head, item.implicit, steps[depth + 1], depth // 2)
            if below is None:
                return None
            item = below
        return None

    def _element(self, item: Item, tag: int, depth: int) -> Head | None:
        """The first element of a data set that has the tag."""
        position = item.start
        while item.end is None or position < item.end:
            head = self._elements.head(position, item.implicit)
            if head is None or head.tag == ITEM_END:
                return None
            if head.tag == tag:
                return head
            position = self._elements.skip(head, item.implicit, depth)
        return None

    def _item(self, head: Head, implicit: bool, number: int, depth: int) -> Item | None:
        elements = self._elements
        vr = head.vr if head.vr not in ("", "UN") else public_vr(head.tag, signed=False)
        if elements.is_encapsulated(head) or (vr != "SQ" and head.length != UNDEFINED):
            return None
        implicit = implicit or head.vr == "UN"
        for index, item in enumerate(elements.items(head, implicit, depth + 1)):
            if index == number:
                return item
            if item.end is None:
                elements.after_item = elements.skip_item(item, depth + 1)
        return None
