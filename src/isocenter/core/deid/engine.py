"""De-identifies one object: one pass over its bytes (PS3.15 E.1.1)."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from isocenter.core.deid.dataset.byte_ranges import Piece
from isocenter.core.deid.dataset.elements import Buffer, Code, Item, ItemView, write_head
from isocenter.core.deid.dataset.marks import marks
from isocenter.core.deid.dataset.one_element import Surroundings
from isocenter.core.deid.dataset.places import Session
from isocenter.core.deid.dataset.replacing import (
    CharacterSetNeeded,
    ObjectRefused,
    character_set_of,
)
from isocenter.core.deid.dataset.source import Source, opened
from isocenter.core.deid.dataset.walker import Walker
from isocenter.core.deid.policy import Option, Policy
from isocenter.core.deid.profile import STRUCTURED_CONTENT
from isocenter.core.deid.standard.actions import Action, Record
from isocenter.core.deid.standard.dictionary import tag_of_keyword
from isocenter.core.deid.standard.standard_uids import has_form_of_uid
from isocenter.core.dicom.bounds import DEFAULT_BOUNDS, Bounds
from isocenter.core.dicom.part10 import FileMeta, encode_file_meta

if TYPE_CHECKING:
    from isocenter.core.deid.proof.identifiers import Identifiers
    from isocenter.core.deid.pseudonyms.issuing import PatientAlias
    from isocenter.core.deid.pseudonyms.secrets import Secret


class TextCleaner(Protocol):
    """Takes what identifies out of a text."""

    def clean(self, text: str, keyword: str, vr: str) -> tuple[str, list[str]]:
        """The cleaned text, and what kinds of things were found (``date``, ``name`` …)."""


@dataclass(frozen=True, slots=True)
class Override:
    """What a handler wants done to one element of an item, in place of the table's decision.

    ``value`` is the new text where the action is REPLACE; ``rule`` goes to the action log.
    """

    action: Action
    value: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True)
class ItemDecision:
    """What a handler says of one sequence item: gone, or elements decided by tag.

    Elements without an override are decided by the table as always, nested ones too. An override
    of RECURSE or KEEP for a sequence means: walk its items.
    """

    drop: bool = False
    overrides: Mapping[int, Override] = field(default_factory=dict)


class Handler(Protocol):
    """Decides the items of a sequence that the table leaves to an option (action C).

    Keys in :attr:`Context.handlers`: ``structured-content`` for ContentSequence at every depth
    and for the root of an SR document (path empty), ``graphics`` for GraphicAnnotationSequence and
    what is in it.
    """

    def item(self, path: str, item: Item) -> ItemDecision:
        """``path`` as in :class:`Record`; ``item`` is a read-only look at the original."""


class DocumentHandler(Protocol):
    """Looks into encapsulated documents (PDF, CDA, STL, OBJ)."""

    def refuses(self, sop_class_uid: str, mime_type: str, document: bytes) -> str | None:
        """Why this document must not leave; None if it may, as it is."""


@dataclass(frozen=True)
class Context:
    """Everything besides the object that decides what becomes of it; one per patient's study.

    Attributes:
        handlers: see :class:`Handler`.
        documents: without one every encapsulated document is refused.
    """

    secret: Secret
    policy: Policy
    patient: PatientAlias
    identifiers: Identifiers
    cleaner: TextCleaner
    handlers: Mapping[str, Handler] = field(default_factory=dict)
    documents: DocumentHandler | None = None

    @cached_property
    def session(self) -> Session:
        """What is remembered from object to object; it does not go to other processes."""
        return Session(self)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "session"}


@dataclass(frozen=True, slots=True)
class ObjectResult:
    """New UIDs of the object, what was done, and why it was refused (nothing was written then)."""

    sop_uid: str
    series_uid: str
    study_uid: str
    sop_class_uid: str
    records: list[Record]
    refused: str | None = None


_SOP_CLASS, _SOP_INSTANCE = 0x00080016, 0x00080018
_STUDY, _SERIES = 0x0020000D, 0x0020000E
_FILED_BY = {
    _SOP_INSTANCE: "SOP Instance UID",
    _STUDY: "Study Instance UID",
    _SERIES: "Series Instance UID",
}
_CHARACTER_SET = 0x00080005
_METHOD_CODES = 0x00120064
_CONTENT, _VALUE_TYPE = 0x0040A730, 0x0040A040
_UTF8 = b"ISO_IR 192"
_SMALL = 1 << 16  # bytes; below this copying costs less than a call to the system
_NO_TEXT = character_set_of(b"").decoder

#: Objects that cannot be cleaned whatever the policy, by SOP class.
REFUSED_SOP_CLASSES = {
    "1.2.840.10008.1.3.10": "a DICOMDIR is written anew for the new files, not de-identified",
    "1.2.840.10008.5.1.4.1.1.9.4.1": "a recorded voice identifies who speaks",
    "1.2.840.10008.5.1.4.1.1.9.4.2": "recorded sound cannot be searched for speech",
}


def deidentify_object(
    source: Path | bytes,
    target: Path,
    context: Context,
    *,
    durable: bool = True,
    bounds: Bounds = DEFAULT_BOUNDS,
) -> ObjectResult:
    """Write a de-identified copy of a DICOM file.

    The transfer syntax stays; big endian and deflated data sets become explicit little endian.

    Args:
        source: a DICOM file, or its bytes.
        target: written whole or not at all.
        context: see :class:`Context`.
        durable: sync the file to the disk before it gets its name; a caller that writes many and
            syncs them together says False.
        bounds: what is read.

    Raises:
        DicomError: the object cannot be read to its end, or is beyond the bounds.
        OSError: a file cannot be read or written.
    """
    with opened(source, target.parent, bounds) as data_set:
        return _Object(data_set, context, bounds).write(target, durable)


class _Object:
    """One object on its way through."""

    def __init__(self, source: Source, context: Context, bounds: Bounds) -> None:
        self._source = source
        self._context = context
        self._bounds = bounds
        self._head = self._view(last=_SERIES)
        meta = source.meta  # some files say it only there
        self._sop_class = self._text(_SOP_CLASS) or meta.sop_class_uid
        self._sop_instance = self._text(_SOP_INSTANCE) or meta.sop_instance_uid

    def write(self, target: Path, durable: bool) -> ObjectResult:
        reason = REFUSED_SOP_CLASSES.get(self._sop_class)
        if not reason and not (self._sop_class and self._sop_instance):
            reason = "no SOP Class UID or no SOP Instance UID"
        if reason:
            return self._result(None, reason)
        try:
            try:
                walker, pieces = self._walked(is_utf8=False)
            except CharacterSetNeeded:
                walker, pieces = self._walked(is_utf8=True)
        except ObjectRefused as refusal:
            return self._result(None, str(refusal))
        result = self._result(walker, None)
        wrong = self._no_uid(walker)
        if wrong:
            return replace(result, refused=wrong)
        meta = FileMeta(self._sop_class, result.sop_uid, self._source.transfer_syntax_uid)
        _write(target, encode_file_meta(meta), pieces, self._source.data, durable)
        return result

    def _walked(self, *, is_utf8: bool) -> tuple[Walker, list[Piece]]:
        source, context = self._source, self._context
        raw = self._head.raw(_CHARACTER_SET)
        root = context.session.root(self._sop_class)
        character_set = character_set_of(raw or b"", is_utf8)
        around = Surroundings(root, "", (), source.end, source.implicit, character_set)
        handler = context.handlers.get(STRUCTURED_CONTENT)
        if handler is not None and STRUCTURED_CONTENT in context.session.active_handlers:
            full = self._view()
            if full.raw(_VALUE_TYPE) is not None:  # the root of a content tree
                around.overrides = handler.item("", full).overrides
        before = tuple(
            code for item in self._head.items(_METHOD_CODES) if (code := item_code(item))
        )
        inserted = marks(context.policy, before, source.implicit)
        if is_utf8 and raw is None:
            element = write_head(_CHARACTER_SET, "CS", len(_UTF8), source.implicit) + _UTF8
            inserted = ((_CHARACTER_SET, element), *inserted)
        walker = Walker(
            source.data,
            context.session,
            self._bounds,
            self._look(),
            transfer_syntax_uid=source.transfer_syntax_uid,
            is_utf8=is_utf8,
        )
        walked = walker.data_set(source.start, around, inserted)
        return walker, walked.pieces or []

    def _result(self, walker: Walker | None, refused: str | None) -> ObjectResult:
        sop = self._new_uid(_SOP_INSTANCE, self._sop_instance, walker)
        series, study = (self._new_uid(tag, self._text(tag), walker) for tag in (_SERIES, _STUDY))
        records = walker.records if walker else []
        return ObjectResult(sop, series, study, self._sop_class, records, refused)

    def _new_uid(self, tag: int, old: str, walker: Walker | None) -> str:
        """As it was written; what the walker did not touch stayed. What is no UID is not told."""
        written = walker.uids.get(tag) if walker is not None else None
        if written and has_form_of_uid(written):
            return written
        kept = Option.RETAIN_UIDS in self._context.policy.options and has_form_of_uid(old)
        return old if kept else self._context.secret.uid(old, is_instance=True)

    def _no_uid(self, walker: Walker) -> str | None:
        """Why an object that keeps its UIDs cannot leave: files are called by them."""
        for tag, name in _FILED_BY.items():
            if not has_form_of_uid(walker.uids.get(tag, self._text(tag))):
                return f"its {name} is no UID"
        return None

    def _text(self, tag: int) -> str:
        return (self._head.text(tag) or "").strip(" \0")

    def _view(self, last: int = 0xFFFFFFFF) -> ItemView:
        source, depth = self._source, self._bounds.max_depth
        return ItemView(
            source.data, source.start, source.end, source.implicit, _NO_TEXT, depth, last
        )

    def _look(self) -> Callable[[str], str | None]:
        """Original values of the top level by keyword, for the conditions of a site's rules."""
        full = self._view()

        def look(keyword: str) -> str | None:
            try:
                return full.text(tag_of_keyword(keyword))
            except KeyError:
                return None

        return look


def item_code(item: Item) -> Code | None:
    """The code that an item of a code sequence is."""
    value, scheme, meaning = (item.text(tag) for tag in (0x00080100, 0x00080102, 0x00080104))
    return Code(value, scheme or "", meaning or "") if value else None


def _write(target: Path, first: bytes, pieces: list[Piece], data: Buffer, durable: bool) -> None:
    """Whole or not at all, under a name that nobody else writes to."""
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    view = memoryview(data)
    try:
        with part.open("wb", buffering=0) as file:
            for buffer in _buffers(first, pieces, view):
                _write_all(file, buffer)
            if durable:
                os.fsync(file.fileno())
        part.replace(target)
        if durable:
            _sync_folder(target.parent)
    finally:
        view.release()
        part.unlink(missing_ok=True)


def _buffers(first: bytes, pieces: list[Piece], view: memoryview) -> Iterator[bytes | memoryview]:
    """Small pieces together, long slices of the source as they are."""
    small = [first]
    for piece in pieces:
        if isinstance(piece, bytes):
            small.append(piece)
        elif piece[1] - piece[0] < _SMALL:
            small.append(bytes(view[piece[0] : piece[1]]))
        else:
            yield b"".join(small)
            small = []
            with view[piece[0] : piece[1]] as kept:
                yield kept
    yield b"".join(small)


def _write_all(file: io.FileIO, buffer: bytes | memoryview) -> None:
    """One write may take 2 GiB at most, or less."""
    written = 0
    while written < len(buffer):
        written += file.write(buffer[written:]) or 0


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
