"""The pass over a data set: every element is copied, dropped or written anew (PS3.15 E.1.1).

Runs of elements that stay are one slice of the source: nothing of them is decoded or moved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from isocenter.core.deid.dataset.byte_ranges import Piece, size_of
from isocenter.core.deid.dataset.elements import (
    ITEM,
    ITEM_END,
    ITEM_END_BYTES,
    SEQUENCE_END,
    SEQUENCE_END_BYTES,
    SPECIFIC_CHARACTER_SET,
    UNDEFINED,
    Buffer,
    Head,
    ItemView,
    is_implicit_item,
    read_head,
    skip_undefined,
    write_head,
    write_item_head,
)
from isocenter.core.deid.dataset.one_element import (
    LONG_VALUE,
    ElementWriter,
    Surroundings,
    Walked,
    overridden,
)
from isocenter.core.deid.dataset.output import Output
from isocenter.core.deid.dataset.places import Session, Step
from isocenter.core.deid.dataset.private_elements import PrivateElements
from isocenter.core.deid.dataset.replacing import NewValue, character_set_of
from isocenter.core.deid.profile import ENCAPSULATED_DOCUMENT, Decision
from isocenter.core.deid.samples.sample_elements import SampleElements
from isocenter.core.deid.samples.sample_lengths import has_samples
from isocenter.core.deid.standard.actions import Action, Record
from isocenter.core.dicom.bounds import Bounds
from isocenter.core.dicom.scanner import tag_text
from isocenter.core.errors import BoundsError, DataSetError

if TYPE_CHECKING:
    from isocenter.core.deid.engine import ItemDecision

_UTF8 = b"ISO_IR 192"
_NEW = object()


class Walker:
    """One pass over one data set in little endian."""

    def __init__(
        self,
        data: Buffer,
        session: Session,
        bounds: Bounds,
        look: Callable[[str], str | None],
        *,
        transfer_syntax_uid: str,
        is_utf8: bool = False,
    ) -> None:
        self._data = data
        self._session = session
        self._replacer = session.replacer
        self._bounds = bounds
        self._writer = ElementWriter(data, session, look)
        self._samples = SampleElements(data, self._writer, transfer_syntax_uid, bounds)
        self._private = PrivateElements(data, session, self._writer, self)
        self._is_utf8 = is_utf8
        self._elements = 0

    @property
    def records(self) -> list[Record]:
        """The action log."""
        return self._writer.records

    @property
    def uids(self) -> dict[int, str]:
        """New UIDs of the top level, by tag."""
        return self._writer.uids

    def data_set(
        self, start: int, around: Surroundings, inserted: tuple[tuple[int, bytes], ...] = ()
    ) -> Walked:
        """Elements up to the end, or to the delimiter of an item of undefined length.

        Args:
            start: of the first element.
            around: what they are in.
            inserted: whole elements that the engine writes, by tag, in order.
        """
        data, place, end, implicit = self._data, around.place, around.end, around.implicit
        around.start = position = start
        steps, key_size = (place.implicit, 4) if implicit else (place.explicit, 6)
        output = Output(start, inserted)
        next_tag = output.next_tag
        count = 0
        from_bytes = int.from_bytes
        while position < end:
            count += 1
            step = steps.get(data[position : position + key_size])
            if step is None:
                head = read_head(data, position, end, implicit)
                step = steps[data[position : position + key_size]] = place.step(head)
            if step.is_end:
                break
            if step.tag >= next_tag:
                next_tag = output.insert(position, step.tag)
            if step.copied or step.looked_at:
                value = position + step.value_at
                first = value - 4 if step.is_long else value - 2
                length = from_bytes(data[first:value], "little")
                stop = value + length
                if length != UNDEFINED and stop <= end:
                    if step.copied:
                        position = stop
                        continue
                    key = (data[value:stop], around.character_set)
                    if not around.overrides and step.memo.get(key, _NEW) is None:
                        position = stop
                        continue
            walked = self._element(step, position, around)
            if walked.pieces is not None:
                output.replace(position, walked.pieces, walked.position)
            position = walked.position
        self.count(count)
        return Walked(position, output.finished(position))

    def count(self, elements: int) -> None:
        """Elements that were passed.

        Raises:
            BoundsError: they are too many.
        """
        self._elements += elements
        if self._elements > self._bounds.max_elements:
            raise BoundsError(f"more than {self._bounds.max_elements} data elements")

    def _element(self, step: Step, position: int, around: Surroundings) -> Walked:
        """One element that is not simply copied; a private one with the rest of its group."""
        data = self._data
        head = read_head(data, position, around.end, around.implicit)
        if head.tag >> 16 & 1:
            return self._private.group(position, around)
        if head.tag >> 16 == 0xFFFE:
            raise DataSetError(f"{tag_text(head.tag)} at byte {position}, outside a sequence")
        decision, given = step.decision, None
        if around.overrides and (override := around.overrides.get(head.tag)) is not None:
            decision, given = overridden(decision, override)
        if step.by_rule:
            decision, given = self._writer.by_rule(head, decision, given, "", around)
        if decision.vr == "SQ":
            return self.sequence(head, decision, around)
        if decision.action is Action.KEEP and has_samples(head.tag):
            return self._samples.element(head, position, decision, around)
        if head.length == UNDEFINED:
            return self.undefined(head, decision, around)
        raw = data[head.start : head.start + head.length]
        if head.tag == SPECIFIC_CHARACTER_SET:
            return self._character_set(head, raw, around)
        if head.tag == ENCAPSULATED_DOCUMENT and decision.action is Action.REFUSE:
            return self._writer.document(head, decision, raw, around)
        new: NewValue | None
        if given is not None:
            new = self._replacer.written(given, decision.action, decision, around.character_set)
        elif decision is step.decision:
            new = self._writer.remembered(step, raw, around.character_set)
        else:
            new = self._writer.new_value(decision, raw, around.character_set)
        return self._writer.written(head, decision, raw, new, around)

    def _character_set(self, head: Head, raw: bytes, around: Surroundings) -> Walked:
        around.character_set = character_set_of(raw, self._is_utf8)
        position = head.start + head.length
        if not self._is_utf8:
            return Walked(position, None)
        written = write_head(head.tag, "CS", len(_UTF8), around.implicit) + _UTF8
        return Walked(position, [written])

    def undefined(self, head: Head, decision: Decision, around: Surroundings) -> Walked:
        """A value of undefined length that is no sequence to us: frames, or something unknown."""
        implicit = around.implicit or head.vr == b"UN"
        position = skip_undefined(
            self._data, head.start, around.end, implicit, self._bounds.max_depth
        )
        if decision.action is Action.KEEP and head.vr in (b"OB", b"OW"):
            return Walked(position, None)
        if decision.action in (Action.EMPTY, Action.DUMMY, Action.PSEUDONYM):
            new = self._replacer.new_value(decision, b"", around.character_set)
            written = self._writer.written(head, decision, b"", new, around)
            return Walked(position, written.pieces)
        self._writer.record(head, decision, Action.REMOVE, b"", "", around)
        return Walked(position, [])

    def sequence(self, head: Head, decision: Decision, around: Surroundings) -> Walked:
        """A sequence, item by item; or the end of it."""
        if decision.action is Action.RECURSE:
            if head.length == 0:
                return Walked(head.start, None)
            if around.depth >= self._bounds.max_depth:
                raise BoundsError(f"sequences nest deeper than {self._bounds.max_depth}")
            return self._items(head, decision, around)
        end = around.end
        if head.length != UNDEFINED:
            position = head.start + head.length
        else:
            implicit = around.implicit or head.vr == b"UN"
            depth = self._bounds.max_depth
            position = skip_undefined(self._data, head.start, end, implicit, depth)
        if not decision.quiet:
            raw = self._data[head.start : min(position, head.start + LONG_VALUE)]
            self._writer.record(head, decision, decision.action, raw, "", around)
        if decision.action is Action.EMPTY:
            return Walked(position, [write_head(head.tag, "SQ", 0, around.implicit)])
        if decision.action is not Action.REMOVE:
            raise DataSetError(f"{tag_text(head.tag)}: {decision.action} fits no sequence")
        return Walked(position, [])

    def _items(self, head: Head, decision: Decision, around: Surroundings) -> Walked:
        data = self._data
        is_open = head.length == UNDEFINED
        end = around.end if is_open else head.start + head.length
        implicit = around.implicit or head.vr == b"UN"
        place = around.place.child(head.tag)
        pieces: list[Piece] = []
        changed = False
        position, number = head.start, 0
        while position < end:
            item = read_head(data, position, end, implicit=True)
            if item.tag == SEQUENCE_END and is_open:
                position = item.start
                break
            if item.tag != ITEM:
                raise DataSetError(f"{tag_text(item.tag)} at byte {position} is no item")
            number += 1
            inner = Surroundings(
                place,
                f"{around.path}{tag_text(head.tag)}[{number}]/",
                (*around.tags, head.tag),
                end if item.length == UNDEFINED else item.start + item.length,
                is_implicit_item(data, item.start, implicit),
                around.character_set,
                depth=around.depth + 1,
            )
            walked = self._item(item, decision, inner)
            changed = changed or walked.pieces is not None
            if walked.pieces is None:
                pieces.append((position, walked.position))
            else:
                pieces += walked.pieces
            position = walked.position
        else:
            if is_open:
                raise DataSetError(f"{tag_text(head.tag)} has no end")
        if not changed:
            return Walked(position, None)
        length = UNDEFINED if is_open else size_of(pieces)
        vr = head.vr.decode("ascii") or "SQ"
        first = write_head(head.tag, vr, length, around.implicit)
        return Walked(position, [first, *pieces, *([SEQUENCE_END_BYTES] if is_open else [])])

    def _item(self, item: Head, decision: Decision, inner: Surroundings) -> Walked:
        is_open = item.length == UNDEFINED
        drop = False
        if decision.handler:
            said = self._handled(decision.handler, item.start, inner)
            if said is not None:
                inner.overrides, drop = said.overrides, said.drop
        if drop:
            implicit, depth = inner.implicit, self._bounds.max_depth
            view = ItemView(
                self._data, item.start, inner.end, implicit, inner.character_set.decoder, depth
            )
            self._writer.record(item, decision, Action.REMOVE, b"", "", inner)
            return Walked(view.behind() if is_open else inner.end, [])
        walked = self.data_set(item.start, inner)
        position = walked.position
        if is_open:
            end = read_head(self._data, position, inner.end, implicit=True)
            if end.tag != ITEM_END:
                raise DataSetError(f"an item at byte {item.start} has no end")
            position = end.start
        if walked.pieces is None:
            return Walked(position, None)
        length = UNDEFINED if is_open else size_of(walked.pieces)
        last = [ITEM_END_BYTES] if is_open else []
        return Walked(position, [write_item_head(length), *walked.pieces, *last])

    def _handled(self, key: str, start: int, inner: Surroundings) -> ItemDecision | None:
        handler = self._session.context.handlers.get(key)
        if handler is None:
            return None
        view = ItemView(
            self._data,
            start,
            inner.end,
            inner.implicit,
            inner.character_set.decoder,
            self._bounds.max_depth,
        )
        return handler.item(inner.path.rstrip("/"), view)
