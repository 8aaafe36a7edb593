"""Private elements (PS3.5 7.8): they go by the group, and the creators of what goes with them."""

from __future__ import annotations

from typing import Protocol

from isocenter.core.deid.dataset.byte_ranges import Piece
from isocenter.core.deid.dataset.elements import UNDEFINED, Buffer, Head, read_head
from isocenter.core.deid.dataset.one_element import (
    LONG_VALUE,
    ElementWriter,
    Surroundings,
    Walked,
)
from isocenter.core.deid.dataset.places import Session
from isocenter.core.deid.dataset.private import decide_private
from isocenter.core.deid.dataset.replacing import GONE, NewValue
from isocenter.core.deid.profile import Decision
from isocenter.core.deid.standard.actions import Action

_CREATOR = Decision(Action.REMOVE, "private", vr="LO")
_PRIVATE = Decision(Action.REMOVE, "private")


class Nesting(Protocol):
    """Walks what is in an element."""

    def sequence(self, head: Head, decision: Decision, around: Surroundings) -> Walked:
        """A sequence, item by item; or the end of it."""

    def undefined(self, head: Head, decision: Decision, around: Surroundings) -> Walked:
        """A value of undefined length that is no sequence."""

    def count(self, elements: int) -> None:
        """Elements that were passed."""


class PrivateElements:
    """The private elements of one data set."""

    def __init__(
        self, data: Buffer, session: Session, writer: ElementWriter, walker: Nesting
    ) -> None:
        self._data = data
        self._session = session
        self._replacer = session.replacer
        self._writer = writer
        self._walker = walker

    def group(self, position: int, around: Surroundings) -> Walked:
        """All elements of an odd group; creators stay only for blocks of which something stays."""
        data, end = self._data, around.end
        group = data[position : position + 2]
        creators: dict[int, tuple[str, int, int]] = {}
        kept: list[list[Piece]] = []
        used: set[int] = set()
        while position + 8 <= end and data[position : position + 2] == group:
            head = read_head(data, position, end, around.implicit)
            element = head.tag & 0xFFFF
            self._walker.count(1)
            if 0x10 <= element <= 0xFF and head.length != UNDEFINED:
                stop = head.start + head.length
                name = around.character_set.decoder.decode(data[head.start : stop])
                creators[element] = (name, position, stop)
                position = stop
                continue
            creator = creators.get(element >> 8, ("", 0, 0))[0]
            walked = self._element(head, creator, around)
            if walked.pieces is None or walked.pieces:
                used.add(element >> 8)
                kept.append(walked.pieces or [(position, walked.position)])
            position = walked.position
        pieces: list[Piece] = []
        for block, (_, first, last) in creators.items():
            if block in used:
                pieces.append((first, last))
            else:
                head = read_head(data, first, end, around.implicit)
                self._writer.record(
                    head, _CREATOR, Action.REMOVE, data[head.start : last], "", around
                )
        for written in kept:
            pieces += written
        return Walked(position, pieces)

    def _element(self, head: Head, creator: str, around: Surroundings) -> Walked:
        session = self._session
        given: str | None = None
        if session.keeps_private and creator:
            vr = head.vr.decode("ascii")
            decision = decide_private(session.choices, creator, head.tag, vr)
        else:
            decision = _PRIVATE
        if session.is_ruled(head.tag):
            decision, given = self._writer.by_rule(head, decision, given, creator, around)
        if decision.vr == "SQ" or (head.length == UNDEFINED and decision.action is Action.REMOVE):
            return self._walker.sequence(head, decision, around)
        if head.length == UNDEFINED:
            return self._walker.undefined(head, decision, around)
        most = LONG_VALUE if decision.action is Action.REMOVE else head.length
        raw = self._data[head.start : head.start + min(head.length, most)]
        new: NewValue | None
        if given is not None:
            new = self._replacer.written(given, decision.action, decision, around.character_set)
        elif decision.action is Action.REMOVE:
            new = GONE
        else:
            new = self._writer.new_value(decision, raw, around.character_set)
        return self._writer.written(head, decision, raw, new, around)
