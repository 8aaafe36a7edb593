"""A DICOMweb service as our destination: STOW-RS with bodies straight from files, QIDO-RS to ask.

Nothing of a body is held; each instance has its own outcome, as the service tells it. What comes
from a service is bounded in size and time, never followed elsewhere, and never unpacked.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from isocenter.core.dicom.part10 import FileMeta, encode_file_meta
from isocenter.core.errors import (
    DicomError,
    NetworkError,
    ProtocolError,
)

from .multipart import closing, new_boundary, part_head
from .outcomes import ItemResult, OnResult, Outcome, SendReport, meaning_of, not_sent, reporting
from .proposals import SendItem, read_item
from .web_service import (
    JSON,
    WebPeer,
    asking,
    document_of,
    first_of,
    items_of,
    number_in,
    opened,
    query,
    refusal,
)

__all__ = ["WebPeer", "check", "count_instances", "store"]

_PART = {"Content-Type": "application/dicom"}
_CHUNK = 1 << 20
_MAX_INSTANCES = 256  # per request
_MAX_REQUEST_BYTES = 256 << 20
_INSTANCE = "00081155"
_FAILED, _STORED, _OTHERS = "00081198", "00081199", "0008119A"
_REASON, _WARNING = "00081197", "00081196"
_CANNOT_UNDERSTAND, _PROCESSING_FAILURE = 0xC000, 0x0110
_NAMES_INSTANCES = (200, 202, 409, 503, 507)  # answers that may say what became of each
_WHOLE = (400, 413)  # a request is refused whole: because of its length, or of one instance


def check(peer: WebPeer) -> float:
    """Ask for one study; returns the seconds that it took.

    Raises:
        NetworkError: it does not answer, refuses us, or is no DICOMweb service.
    """
    began = time.perf_counter()
    with opened(peer) as client:
        query(client, peer, "/studies", {"limit": "1"})
    return time.perf_counter() - began


def count_instances(peer: WebPeer, study_uid: str) -> int:
    """How many instances of a study the service has (QIDO-RS); 0 where it has no such study.

    Raises:
        NetworkError: it cannot be asked, or its answer cannot be read.
    """
    asked = {"StudyInstanceUID": study_uid, "includefield": "NumberOfStudyRelatedInstances"}
    with opened(peer) as client:
        found = query(client, peer, "/studies", asked)
    studies = [each for each in found if first_of(each, "0020000D") == study_uid]
    if not studies:
        return 0
    try:
        return int(str(first_of(studies[0], "00201208")))
    except ValueError:
        raise ProtocolError(f"{peer} does not say how many instances the study has") from None


def store(
    files: Sequence[SendItem | Path],
    peer: WebPeer,
    *,
    on_result: OnResult | None = None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> SendReport:
    """Store files at a service (PS3.18 10.5).

    Several go in one request. Where the service refuses one whole, as too long or for something in
    it, it is sent again in halves. A connection that breaks leaves the rest as not sent, and the
    report's error says why.

    Args:
        on_result: called for each file when its outcome is known, in this thread.
        is_cancelled: asked before each instance.
    """
    began = time.perf_counter()
    report, tell = reporting(on_result)
    waiting = _requests(_readable(files, tell))
    try:
        with opened(peer) as client:
            while waiting and not is_cancelled():
                batch = waiting.pop(0)
                try:
                    results, sent = _store(client, peer, batch, is_cancelled)
                except _RefusedWhole as error:
                    if len(batch) == 1:
                        tell(_result(batch[0], Outcome.FAILED, _CANNOT_UNDERSTAND, str(error)))
                    else:
                        half = len(batch) // 2
                        waiting[:0] = [batch[:half], batch[half:]]
                    continue
                except (_Cancelled, NetworkError):
                    waiting.insert(0, batch)
                    raise
                report.bytes_sent += sent
                report.associations += 1
                for result in results:
                    tell(result)
    except _Cancelled:
        pass
    except NetworkError as error:
        report.error = error
    for item in (item for batch in waiting for item in batch):
        tell(not_sent(item, report.error or "cancelled"))
    report.seconds = time.perf_counter() - began
    return report


class _Cancelled(Exception):
    """Somebody stopped it in the middle of a request."""


class _RefusedWhole(Exception):
    """The service takes nothing of a request, and less of it perhaps."""


def _readable(files: Sequence[SendItem | Path], tell: OnResult) -> list[SendItem]:
    items = []
    for file in files:
        try:
            items.append(file if isinstance(file, SendItem) else read_item(file))
        except DicomError as error:
            path = file if isinstance(file, Path) else file.path
            tell(ItemResult(path, Outcome.FAILED, None, str(error)))
    return items


def _requests(items: Sequence[SendItem]) -> list[list[SendItem]]:
    """What goes together."""
    found: list[list[SendItem]] = []
    size = 0
    for item in items:
        length = _length(item)
        is_full = found and (len(found[-1]) == _MAX_INSTANCES or size + length > _MAX_REQUEST_BYTES)
        if not found or is_full:
            found.append([])
            size = 0
        found[-1].append(item)
        size += length
    return found


def _length(item: SendItem) -> int:
    try:
        return item.path.stat().st_size
    except OSError:
        return 0


def _store(
    client: httpx.Client,
    peer: WebPeer,
    batch: Sequence[SendItem],
    is_cancelled: Callable[[], bool],
) -> tuple[list[ItemResult], int]:
    boundary = new_boundary()
    parts = [_Part.of(item, boundary, is_first=number == 0) for number, item in enumerate(batch)]
    total = sum(len(part.head) + part.length for part in parts) + len(closing(boundary))

    def content() -> Iterator[bytes]:
        for part in parts:
            if is_cancelled():
                raise _Cancelled
            peer.pace(part.length)
            yield part.head
            yield from _pieces(part)
        yield closing(boundary)

    headers = {
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        "Content-Length": str(total),
        "Accept": JSON,
    }
    with asking(client, peer, "POST", "/studies", content=content(), headers=headers) as answer:
        status = answer.status_code
        if status in _WHOLE:
            raise _RefusedWhole(f"{peer} does not take it ({status})")
        document = document_of(peer, answer) if status in _NAMES_INSTANCES else {}
        told, other = _told(document), _other(document)
        if status not in (200, 202, 409) and not told:
            raise refusal(peer, answer)
    return [_outcome(item, told.get(item.sop_instance_uid, other), status) for item in batch], total


@dataclass(frozen=True)
class _Part:
    """A file on its way: what goes before it, and which bytes of it go."""

    path: Path
    head: bytes
    offset: int
    length: int

    @classmethod
    def of(cls, item: SendItem, boundary: str, *, is_first: bool) -> _Part:
        head = part_head(boundary, _PART, is_first=is_first)
        with item.path.open("rb") as file:
            has_format = file.read(132)[128:] == b"DICM"
            size = os.fstat(file.fileno()).st_size
        if has_format:
            return cls(item.path, head, 0, size)
        meta = FileMeta(item.sop_class_uid, item.sop_instance_uid, item.transfer_syntax_uid)
        offset = item.dataset_offset
        return cls(item.path, head + encode_file_meta(meta), offset, size - offset)


def _pieces(part: _Part) -> Iterator[bytes]:
    left = part.length
    with part.path.open("rb") as file:
        file.seek(part.offset)
        while left:
            piece = file.read(min(_CHUNK, left))
            if not piece:
                raise NetworkError(f"{part.path.name} became shorter while it was sent")
            left -= len(piece)
            yield piece


@dataclass(frozen=True)
class _Told:
    """What a service says of one instance."""

    is_stored: bool
    reason: int | None


def _told(document: Mapping[str, Any]) -> dict[str, _Told]:
    """By SOP Instance UID; a failure counts more than a success."""
    found = {}
    for tag, reason, is_stored in ((_STORED, _WARNING, True), (_FAILED, _REASON, False)):
        for item in items_of(document, tag):
            number = number_in(first_of(item, reason))
            found[str(first_of(item, _INSTANCE))] = _Told(is_stored, number)
    return found


def _other(document: Mapping[str, Any]) -> _Told | None:
    """What is said of instances that the service could not even name."""
    reasons = [number_in(first_of(item, _REASON)) for item in items_of(document, _OTHERS)]
    return _Told(False, reasons[0]) if reasons else None


def _outcome(item: SendItem, told: _Told | None, status: int) -> ItemResult:
    if told is not None and not told.is_stored:
        reason = told.reason or _PROCESSING_FAILURE
        return _result(item, Outcome.FAILED, reason, meaning_of(reason))
    if told is not None or status == 200:
        warning = told.reason if told is not None else None
        return _result(item, Outcome.STORED, warning or 0, meaning_of(warning) if warning else "")
    note = f"the service answered {status} without naming it"
    return _result(item, Outcome.FAILED, _PROCESSING_FAILURE, note)


def _result(item: SendItem, outcome: Outcome, status: int | None, note: str) -> ItemResult:
    return ItemResult(item.path, outcome, status, note, item.sop_instance_uid)
