"""A data set as a DICOM JSON Model object (PS3.18 annex F), straight from its bytes.

No objects are built of elements. A part that cannot be read costs itself alone where the rest can
be found behind it; otherwise the document ends there. Text that goes before each BulkDataURI, and
which is known only when the document is served, is :data:`MARK`, a character that JSON never has.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from isocenter.core.dicom.bounds import DEFAULT_BOUNDS, Bounds
from isocenter.core.dicom.charsets import TextDecoder, text_decoder
from isocenter.core.dicom.json_model.dictionary import private_vr, public_vr
from isocenter.core.dicom.json_model.elements import (
    ITEM_END,
    UNDEFINED,
    Elements,
    Head,
    Item,
    opened,
)
from isocenter.core.dicom.json_model.identity import identifies
from isocenter.core.dicom.json_model.values import (
    NUMBERS,
    TEXT_VALUES,
    binary_numbers,
    in_little_endian,
    quoted,
)
from isocenter.core.dicom.structure import PIXEL_TAGS
from isocenter.core.errors import BoundsError, DataSetError

#: Stands for the base URL of the service in BulkDataURIs.
MARK = "\x01"

_CHARACTER_SET = 0x00080005
_PIXEL_REPRESENTATION = 0x00280103
_PADDING = 0xFFFCFFFC
_META_GROUPS = (0x0000, 0x0002)  # of commands and of files, not of data sets
_INLINE_BYTES = 1024  # of binary values; longer ones are bulk data
_MAX_INLINE_BYTES = 64 << 20  # of all values; beyond, longer ones of any kind are bulk data
_UTF_8 = '"ISO_IR 192"'


@dataclass(frozen=True, slots=True)
class Document:
    """One instance.

    Attributes:
        full: the object with all attributes; JSON text with :data:`MARK` in it.
        plain: the same without what identifies, see :func:`identity.identifies`.
        damage: why the document is not complete; empty where it is.
    """

    full: str
    plain: str
    damage: str = ""


def dataset_json(
    path: Path,
    *,
    bulk_uri: str = MARK,
    known: Mapping[int, tuple[str, str]] | None = None,
    bounds: Bounds = DEFAULT_BOUNDS,
) -> Document:
    """The DICOM JSON Model object of a file.

    Text is UTF-8, whatever the file's character set, and Specific Character Set says so. Binary
    values of more than 1 KiB, values that are too long to be decoded and all pixel data become
    ``BulkDataURI``\\ s of ``bulk_uri`` and a place as :func:`places.locate` wants it. File meta
    information, group lengths and padding are left out (PS3.18 F.2.1).

    Args:
        path: a file of PS3.10.
        bulk_uri: goes before places; ``…/instances/1.2.3/bulkdata/``.
        known: tag → (VR, text) of what must be in the document in any case, such as UIDs.
        bounds: elements, depth and sizes.

    Raises:
        NotDicomError: the bytes are no DICOM.
        BoundsError: the file is too large.
        OSError: the file cannot be read.
    """
    with opened(path, bounds) as file:
        writer = _Writer(file.elements, bounds, bulk_uri)
        return writer.document(known or {})


def minimal_json(known: Mapping[int, tuple[str, str]], damage: str) -> Document:
    """The document of an instance that cannot be read: what is known without it."""
    pieces = _Pieces()
    for tag, (vr, value) in known.items():
        pieces.add(tag, _with_value(tag, vr, quoted(value) if value else ""))
    return replace(pieces.document(), damage=damage)


@dataclass(slots=True)
class _Pieces:
    """Members of one object by tag."""

    full: dict[int, str] = field(default_factory=dict)
    plain: dict[int, str] = field(default_factory=dict)
    last: int = -1
    in_order: bool = True

    def add(self, tag: int, piece: str, plain: str | None = None) -> None:
        """Of an attribute that comes twice the last one stays."""
        if tag <= self.last:
            self.in_order = False
        self.last = tag
        self.full[tag] = piece
        if not identifies(tag):
            self.plain[tag] = piece if plain is None else plain

    def document(self) -> Document:
        if not self.in_order:  # PS3.18 F.2.2: in ascending order
            self.full = dict(sorted(self.full.items()))
            self.plain = dict(sorted(self.plain.items()))
        return Document(
            f"{{{','.join(self.full.values())}}}", f"{{{','.join(self.plain.values())}}}"
        )


@dataclass(slots=True)
class _Context:
    """What a data set's attributes say of the others; items inherit it (PS3.5 7.5.3)."""

    decoder: TextDecoder
    signed: bool
    path: str
    depth: int
    creators: dict[int, str] = field(default_factory=dict)

    def inside(self, tag: int, number: int) -> _Context:
        path = f"{self.path}{tag:08X}/{number}/"
        return _Context(self.decoder, self.signed, path, self.depth + 1)


class _Writer:
    def __init__(self, elements: Elements, bounds: Bounds, bulk_uri: str) -> None:
        self._elements = elements
        self._bounds = bounds
        self._bulk_uri = bulk_uri
        self._left = _MAX_INLINE_BYTES

    def document(self, known: Mapping[int, tuple[str, str]]) -> Document:
        elements, pieces = self._elements, _Pieces()
        context = _Context(text_decoder(b""), signed=False, path="", depth=0)
        position, damage = 0, ""
        while True:
            head = None
            try:
                head = elements.head(position, elements.implicit)
                if head is None:
                    break
                position = self._element(head, elements.implicit, context, pieces)
            except BoundsError as error:
                damage = str(error)
                break
            except DataSetError as error:
                damage = damage or str(error)
                if head is None or not self._can_go_on(head):
                    break
                position = head.start + head.length
        for tag, (vr, value) in known.items():
            if value and '"Value"' not in pieces.full.get(tag, ""):
                pieces.add(tag, _with_value(tag, vr, quoted(value)))
        return replace(pieces.document(), damage=damage)

    def _can_go_on(self, head: Head) -> bool:
        """Whether what follows a broken value can be found."""
        size = self._elements.size
        return head.length != UNDEFINED and size is not None and head.start + head.length < size

    def _element(self, head: Head, implicit: bool, context: _Context, pieces: _Pieces) -> int:
        """Write one element; returns where the next one is."""
        tag, vr, length, start = head
        if tag >> 16 == 0xFFFE:
            raise DataSetError(f"a stray delimiter at byte {start - 8}")
        big_endian = self._elements.big_endian
        if vr in ("", "UN"):
            big_endian = big_endian and vr == ""  # PS3.5 6.2.2: UN is little endian
            implicit = implicit or vr == "UN"
            vr = self._resolved(tag, context)
        if length == UNDEFINED:
            if not self._elements.is_encapsulated(head):
                return self._sequence(head, implicit, context, pieces)
            pieces.add(tag, self._linked(tag, vr if vr in ("OB", "OW") else "OB", context))
            return self._elements.skip(head, implicit, context.depth)
        if vr == "SQ":
            return self._sequence(head, implicit, context, pieces)
        if tag & 0xFFFF and tag != _PADDING and tag >> 16 not in _META_GROUPS:
            pieces.add(tag, self._plain_value(head, vr, big_endian, context))
        return start + length

    def _resolved(self, tag: int, context: _Context) -> str:
        if not tag >> 16 & 1:
            return public_vr(tag, signed=context.signed)
        return private_vr(tag, context.creators.get(tag >> 8, ""))

    def _plain_value(self, head: Head, vr: str, big_endian: bool, context: _Context) -> str:
        tag, _, length, _ = head
        writes = TEXT_VALUES.get(vr)
        is_binary = writes is None and vr not in NUMBERS
        if not length:
            return _prefix(tag, vr) + "}"
        if tag in PIXEL_TAGS or self._is_bulk(length, is_binary):
            self._check_end(head)
            return self._linked(tag, vr, context)
        value = self._elements.value(head)
        self._left -= length
        if writes is not None:
            inside = writes(value, context.decoder)
            if tag == _CHARACTER_SET:
                context.decoder = text_decoder(value)
                inside = _UTF_8 if inside else ""
            elif tag >> 16 & 1 and 0x10 <= tag & 0xFFFF <= 0xFF:
                creator = context.decoder.decode(value)
                context.creators[(tag >> 16) << 8 | tag & 0xFF] = creator
            return _with_value(tag, vr, inside)
        if not is_binary:
            if tag == _PIXEL_REPRESENTATION:
                context.signed = any(value[:2])
            return _with_value(tag, vr, binary_numbers(vr, value, big_endian))
        if big_endian:
            value = in_little_endian(vr, value)
        return f'{_prefix(tag, vr)},"InlineBinary":"{base64.b64encode(value).decode()}"}}'

    def _is_bulk(self, length: int, is_binary: bool) -> bool:
        if length <= _INLINE_BYTES:
            return False
        return is_binary or length > min(self._bounds.max_value_bytes, self._left)

    def _check_end(self, head: Head) -> None:
        size = self._elements.size
        if size is not None and head.start + head.length > size:
            raise DataSetError(
                f"the data set ends inside ({head.tag >> 16:04X},{head.tag & 0xFFFF:04X})"
            )

    def _linked(self, tag: int, vr: str, context: _Context) -> str:
        return f'{_prefix(tag, vr)},"BulkDataURI":"{self._bulk_uri}{context.path}{tag:08X}"}}'

    def _sequence(self, head: Head, implicit: bool, context: _Context, pieces: _Pieces) -> int:
        elements, tag = self._elements, head.tag
        items = elements.items(head, implicit, context.depth + 1)
        full, plain = [], []
        for number, item in enumerate(items):
            written, end = self._item(item, context.inside(tag, number))
            elements.after_item = end
            full.append(written.full)
            plain.append(written.plain)
        after = elements.after_item
        prefix = _prefix(tag, "SQ")
        if not full:
            pieces.add(tag, prefix + "}")
        elif identifies(tag):
            pieces.add(tag, f'{prefix},"Value":[{",".join(full)}]}}')
        else:
            pieces.add(
                tag,
                f'{prefix},"Value":[{",".join(full)}]}}',
                f'{prefix},"Value":[{",".join(plain)}]}}',
            )
        return after

    def _item(self, item: Item, context: _Context) -> tuple[Document, int]:
        elements, pieces = self._elements, _Pieces()
        position = item.start
        while item.end is None or position < item.end:
            head = elements.head(position, item.implicit)
            if head is None:
                raise DataSetError(f"the data set ends inside an item at byte {item.start}")
            if head.tag == ITEM_END:
                position = head.start
                break
            after = 0 if head.length == UNDEFINED else head.start + head.length
            if item.end is not None and after > item.end:
                raise DataSetError(f"a value reaches out of its item at byte {position}")
            position = self._element(head, item.implicit, context, pieces)
        return pieces.document(), position if item.end is None else item.end


@lru_cache(maxsize=16384)
def _prefix(tag: int, vr: str) -> str:
    return f'"{tag:08X}":{{"vr":"{vr}"'


def _with_value(tag: int, vr: str, inside: str) -> str:
    return f'{_prefix(tag, vr)},"Value":[{inside}]}}' if inside else _prefix(tag, vr) + "}"
