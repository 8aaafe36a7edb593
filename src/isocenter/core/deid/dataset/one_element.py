"""One data element that is not simply copied: what becomes of its value, and the log of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from isocenter.core.deid.dataset.byte_ranges import Piece
from isocenter.core.deid.dataset.elements import Buffer, Head, write_head
from isocenter.core.deid.dataset.places import Place, Session, Step
from isocenter.core.deid.dataset.replacing import CharacterSet, NewValue, ObjectRefused
from isocenter.core.deid.profile import Check, Decision
from isocenter.core.deid.standard.actions import Action, Record
from isocenter.core.dicom.scanner import tag_text

if TYPE_CHECKING:
    from isocenter.core.deid.engine import Override

_MOST_REMEMBERED = 50_000
#: Bytes; longer values are not remembered, and not hashed to their end.
LONG_VALUE = 4096
_SHOWN = 64


@dataclass(slots=True)
class Surroundings:
    """Where the walker is: the top level, or one item.

    Attributes:
        place: what is known of this level.
        path: of the item, ``(0040,A730)[2]/``; empty at the top level.
        tags: of the sequences around.
        end: of the item, or of what it is in where it has a delimiter.
        implicit: VR.
        character_set: in force.
        overrides: of a handler, by tag.
        depth: of nesting; 0 at the top level.
        start: of its first element.
    """

    place: Place
    path: str
    tags: tuple[int, ...]
    end: int
    implicit: bool
    character_set: CharacterSet
    overrides: Mapping[int, Override] = field(default_factory=dict)
    depth: int = 0
    start: int = 0


class Walked(NamedTuple):
    """Where the walker has come to, and what was written; None if everything stays."""

    position: int
    pieces: list[Piece] | None


class ElementWriter:
    """Writes single elements of one data set anew.

    Attributes:
        records: the action log.
        uids: new ones of the top level, by tag.
    """

    def __init__(self, data: Buffer, session: Session, look: Callable[[str], str | None]) -> None:
        self._data = data
        self._session = session
        self._replacer = session.replacer
        self._look = look
        self.records: list[Record] = []
        self.uids: dict[int, str] = {}

    def new_value(
        self, decision: Decision, raw: bytes, character_set: CharacterSet
    ) -> NewValue | None:
        if not raw and decision.action not in (Action.REMOVE, Action.PSEUDONYM):
            return None  # nothing is in it, and what an empty value says stays
        return self._replacer.new_value(decision, raw, character_set)

    def remembered(self, step: Step, raw: bytes, character_set: CharacterSet) -> NewValue | None:
        key, memo = (raw, character_set), step.memo
        try:
            return memo[key]
        except KeyError:
            new = self.new_value(step.decision, raw, character_set)
        if len(raw) <= LONG_VALUE:
            if len(memo) >= _MOST_REMEMBERED:
                memo.clear()
            memo[key] = new
        return new

    def by_rule(
        self, head: Head, decision: Decision, given: str | None, creator: str, around: Surroundings
    ) -> tuple[Decision, str | None]:
        """What a site's rule makes of a decision: another one, and the new text if it has one."""
        rules = self._session.rules
        text: str = ""
        if decision.vr != "SQ" and head.length <= LONG_VALUE:  # bulk data has no text
            raw = self._data[head.start : head.start + head.length]
            text = around.character_set.decoder.decode(raw)
        outcome = rules and rules.match(
            (*around.tags, head.tag),
            decision.keyword,
            decision.vr,
            text,
            self._look,
            secret=self._session.context.secret,
            patient=self._session.context.patient,
            creator=creator,
        )
        if not outcome:
            return decision, given
        action = outcome.action
        if decision.vr == "SQ" and action not in (Action.REMOVE, Action.EMPTY):
            action = Action.RECURSE
        rule = f"site rule {outcome.rule_name}"
        made = replace(decision, action=action, rule=rule, check="", quiet=False)
        if action is Action.REMOVE:  # an object without what it needs could not be read
            made = around.place.level.least(head.tag, made)
        return made, outcome.value

    def written(
        self, head: Head, decision: Decision, raw: bytes, new: NewValue | None, around: Surroundings
    ) -> Walked:
        """The element with its new value, and a line in the log."""
        position = head.start + head.length
        if decision.vr == "UI" and around.depth == 0:
            self.uids[head.tag] = new.text if new else raw.decode("latin-1").strip(" \0")
        if new is None:
            if not decision.quiet and raw:
                self.record(head, decision, Action.KEEP, raw, "", around)
            return Walked(position, None)
        if not decision.quiet or new.action not in (Action.REMOVE, Action.KEEP):
            self.record(head, decision, new.action, raw, new.text, around)
        if new.value is None:
            return Walked(position, [])
        vr = decision.vr if len(decision.vr) == 2 else "UN"
        written = write_head(head.tag, vr, len(new.value), around.implicit) + new.value
        return Walked(position, [written])

    def record(
        self,
        head: Head,
        decision: Decision,
        action: Action,
        raw: bytes,
        text: str,
        around: Surroundings,
    ) -> None:
        path = around.path + tag_text(head.tag)
        vr = head.vr.decode("ascii") or decision.vr
        old = self._replacer.digest(raw[:LONG_VALUE])
        self.records.append(Record(path, vr, decision.rule, action, old, text[:_SHOWN]))

    def document(self, head: Head, decision: Decision, raw: bytes, around: Surroundings) -> Walked:
        handler = self._session.context.documents
        mime_type = self._look("MIMETypeOfEncapsulatedDocument") or ""
        refused: str | None = "an encapsulated document that nobody looked into"
        if handler is not None:
            refused = handler.refuses(self._look("SOPClassUID") or "", mime_type, raw)
        if refused:
            raise ObjectRefused(refused)
        self.record(head, decision, Action.KEEP, raw, "", around)
        return Walked(head.start + head.length, None)


def overridden(decision: Decision, override: Override) -> tuple[Decision, str | None]:
    """A decision as a handler wants it, and the new text if it has one."""
    action = override.action
    if decision.vr == "SQ" and action in (Action.KEEP, Action.CLEAN):
        action = Action.RECURSE
    rule = override.rule or decision.rule
    check: Check = "text" if action is Action.KEEP else ""
    made = replace(decision, action=action, rule=rule, check=check, quiet=False)
    return made, override.value if action is Action.REPLACE else None
