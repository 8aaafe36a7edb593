"""Answers of one query, straight to bytes.

All answers of a query have the same attributes, most of them short ASCII text, many the same in
each. What an attribute needs is prepared once; an answer is then a few bytes joined. What is not
so plain (other scripts, sequences, deflate) goes the way of every other data set, with the same
bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from isocenter.core.dicom.part10 import DEFLATED_LITTLE, EXPLICIT_BIG, IMPLICIT_LITTLE
from isocenter.core.dicom.text_encoding import common_character_set

from .connection import Buffer
from .identifiers import CHARACTER_SET, Element, Values, encode_identifier
from .messages import encode_message
from .pdu import P_DATA

_PLAIN = frozenset(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "PN", "SH", "TM", "UI"))
_SHORT_VALUE = 0xFFFE
_DATA_HEAD = struct.Struct(">BBLLBB").pack
_LAST_OF_DATA = 0x02

Pieces = list[bytes]


@dataclass(frozen=True)
class Field:
    """An attribute of every answer."""

    tag: int
    vr: str


class _NotPlain(Exception):
    """An answer that has to go the long way."""


class AnswerEncoder:
    """Writes answers of one query as data sets.

    Args:
        fields: what an answer has values for; without character set.
        same: elements with the same value in each answer.
        character_set: what the peer asked in; UTF-8 is taken where it cannot hold a text.
    """

    def __init__(
        self,
        fields: Sequence[Field],
        same: Sequence[Element],
        transfer_syntax: str,
        character_set: str = "",
    ) -> None:
        self._fields = tuple(fields)
        self._same = tuple(same)
        self._syntax = transfer_syntax
        self._character_set = character_set
        self._is_deflated = transfer_syntax == DEFLATED_LITTLE
        self._slots = [_Slot(number, field, self) for number, field in enumerate(fields)]
        chosen = common_character_set((), character_set)
        constants = [*same]
        if chosen:
            constants.append(Element(CHARACTER_SET, "CS", tuple(chosen.split("\\"))))
        made: list[tuple[int, bytes | _Slot]] = [
            (element.tag, self.element(element)) for element in constants
        ]
        made += [(slot.tag, slot) for slot in self._slots]
        made.sort(key=lambda pair: pair[0])
        self._template: Pieces = [part if isinstance(part, bytes) else b"" for _, part in made]
        for place, (_, part) in enumerate(made):
            if isinstance(part, _Slot):
                part.place = place

    def encode(self, values: Sequence[Values]) -> bytes:
        """One answer, with the values of the fields in their order.

        Raises:
            DataSetError: a value that its VR cannot hold.
        """
        if self._is_deflated:
            return self._whole(values)
        pieces = self._template
        try:
            for slot in self._slots:
                value = values[slot.number]
                if value != slot.value:
                    pieces[slot.place] = slot.encode(value)
                    slot.value = value
        except _NotPlain:
            return self._whole(values)
        return b"".join(pieces)

    def element(self, element: Element) -> bytes:
        """An element that is ASCII, as it is in a data set."""
        return encode_identifier((element,), self._syntax)

    def _whole(self, values: Sequence[Values]) -> bytes:
        elements = [
            Element(field.tag, field.vr, value)
            for field, value in zip(self._fields, values, strict=True)
        ]
        return encode_identifier((*self._same, *elements), self._syntax, self._character_set)


class _Slot:
    """The place of a field in answers, and what stands there now."""

    def __init__(self, number: int, field: Field, encoder: AnswerEncoder) -> None:
        self.number = number
        self.tag = field.tag
        self.place = 0
        self.value: Values | None = None
        self._vr = field.vr
        self._element = encoder.element
        syntax = encoder._syntax
        order = ">" if syntax == EXPLICIT_BIG else "<"
        head = struct.pack(f"{order}HH", field.tag >> 16, field.tag & 0xFFFF)
        if syntax == IMPLICIT_LITTLE:
            self._head, self._length = head, struct.Struct("<L").pack
        else:
            self._head = head + field.vr.encode("ascii")
            self._length = struct.Struct(f"{order}H").pack
        self._padding = b"\0" if field.vr == "UI" else b" "
        self._is_plain = field.vr in _PLAIN

    def encode(self, values: Values) -> bytes:
        """The element with these values."""
        if not self._is_plain:
            if self._vr == "SQ" and values:
                raise _NotPlain
            return self._checked(values)
        if len(values) == 1 and isinstance(values[0], (str, int)):
            text = str(values[0])
        elif not values:
            text = ""
        else:
            return self._checked(values)
        if not text.isascii() or len(text) > _SHORT_VALUE:
            raise _NotPlain
        raw = text.encode("ascii")
        if len(raw) % 2:
            raw += self._padding
        return self._head + self._length(len(raw)) + raw

    def _checked(self, values: Values) -> bytes:
        """By way of the general writer, where there is no text in another script."""
        if not all(str(value).isascii() for value in values):
            raise _NotPlain
        return self._element(Element(self.tag, self._vr, values))


def enveloped(context_id: int, command: bytes, max_pdu: int) -> Callable[[bytes], bytes]:
    """What makes messages of data sets, all with the same command.

    Args:
        max_pdu: what the peer takes, in bytes after the PDU header; 0 is no limit.
    """
    before = b"".join(encode_message(context_id, command, max_pdu=max_pdu))
    most = max_pdu - 6 if max_pdu else 1 << 31

    def message(data_set: bytes) -> bytes:
        size = len(data_set)
        if not 0 < size <= most:
            whole: list[Buffer] = encode_message(context_id, command, data_set, max_pdu=max_pdu)
            return b"".join(whole)
        head = _DATA_HEAD(P_DATA, 0, size + 6, size + 2, context_id, _LAST_OF_DATA)
        return before + head + data_set

    return message
