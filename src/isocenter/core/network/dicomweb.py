"""A DICOMweb service as our destination: STOW-RS with bodies straight from files, QIDO-RS to ask.

Nothing of a body is held; each instance has its own outcome, as the service tells it. What comes
from a service is bounded in size and time, never followed elsewhere, and never unpacked.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from isocenter.core.dicom.part10 import FileMeta, encode_file_meta
from isocenter.core.errors import (
    ConfigurationError,
    DicomError,
    NetworkError,
    NetworkTimeout,
    ProtocolError,
)

from .multipart import closing, new_boundary, part_head
from .outcomes import ItemResult, OnResult, Outcome, SendReport, meaning_of, not_sent
from .proposals import SendItem, read_item
from .tls import ClientTls, client_context

_JSON = "application/dicom+json"
_PART = {"Content-Type": "application/dicom"}
_CHUNK = 1 << 20
_MAX_ANSWER_BYTES = 32 << 20
_MAX_INSTANCES = 256  # per request
_MAX_REQUEST_BYTES = 256 << 20
_ANSWER_FACTOR = 10  # an answer may drip for so many time-outs
_INSTANCE = "00081155"
_FAILED, _STORED, _OTHERS = "00081198", "00081199", "0008119A"
_REASON, _WARNING = "00081197", "00081196"
_CANNOT_UNDERSTAND, _PROCESSING_FAILURE = 0xC000, 0x0110
_NAMES_INSTANCES = (200, 202, 409, 503, 507)  # answers that may say what became of each
_WHOLE = (400, 413)  # a request is refused whole: because of its length, or of one instance


@dataclass(frozen=True)
class WebPeer:
    """A DICOMweb service.

    Attributes:
        url: its base, to which ``/studies`` is added.
        timeout_s: of the connection, and longest silence in either direction.
        tls: None: the system's authorities, for an address that begins with https.
        username, secret: Basic; a secret alone is a bearer token; neither: nothing is shown.
        pace: called before each instance with its bytes; may wait.
    """

    url: str
    timeout_s: float = 30.0
    tls: ClientTls | None = None
    username: str = ""
    secret: str = field(default="", repr=False)
    pace: Callable[[int], None] = lambda size: None

    def __str__(self) -> str:
        return self.url


def check(peer: WebPeer) -> float:
    """Ask for one study; returns the seconds that it took.

    Raises:
        NetworkError: it does not answer, refuses us, or is no DICOMweb service.
    """
    began = time.perf_counter()
    with _client(peer) as client:
        _query(client, peer, "/studies", {"limit": "1"})
    return time.perf_counter() - began


def count_instances(peer: WebPeer, study_uid: str) -> int:
    """How many instances of a study the service has (QIDO-RS); 0 where it has no such study.

    Raises:
        NetworkError: it cannot be asked, or its answer cannot be read.
    """
    asked = {"StudyInstanceUID": study_uid, "includefield": "NumberOfStudyRelatedInstances"}
    with _client(peer) as client:
        found = _query(client, peer, "/studies", asked)
    studies = [each for each in found if _first(each, "0020000D") == study_uid]
    if not studies:
        return 0
    try:
        return int(str(_first(studies[0], "00201208")))
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
    report = SendReport()

    def tell(result: ItemResult) -> None:
        report.results.append(result)
        if on_result is not None:
            on_result(result)

    waiting = _requests(_readable(files, tell))
    try:
        with _client(peer) as client:
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
        "Accept": _JSON,
    }
    with _asked(client, peer, "POST", "/studies", content=content(), headers=headers) as answer:
        status = answer.status_code
        if status in _WHOLE:
            raise _RefusedWhole(f"{peer} does not take it ({status})")
        document = _document(peer, answer) if status in _NAMES_INSTANCES else {}
        told, other = _told(document), _other(document)
        if status not in (200, 202, 409) and not told:
            raise _refusal(peer, answer)
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
        for item in _items(document, tag):
            number = _number(_first(item, reason))
            found[str(_first(item, _INSTANCE))] = _Told(is_stored, number)
    return found


def _other(document: Mapping[str, Any]) -> _Told | None:
    """What is said of instances that the service could not even name."""
    reasons = [_number(_first(item, _REASON)) for item in _items(document, _OTHERS)]
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


# -- HTTP --------------------------------------------------------------------------------------


@contextmanager
def _client(peer: WebPeer) -> Iterator[httpx.Client]:
    headers = {"Accept-Encoding": "identity", "User-Agent": "isocenter"}
    auth: httpx.Auth | None = None
    if peer.username:
        auth = httpx.BasicAuth(peer.username, peer.secret)
    elif peer.secret:
        headers["Authorization"] = f"Bearer {peer.secret}"
    try:
        client = httpx.Client(
            auth=auth,
            headers=headers,
            timeout=peer.timeout_s,
            verify=client_context(peer.tls or ClientTls()),
            follow_redirects=False,
            trust_env=False,
        )
    except (ValueError, UnicodeError) as error:
        raise ConfigurationError(f"{peer} cannot be used: {type(error).__name__}") from None
    with client:
        yield client


@contextmanager
def _asked(
    client: httpx.Client, peer: WebPeer, method: str, path: str, **given: Any
) -> Iterator[httpx.Response]:
    try:
        with client.stream(method, peer.url.rstrip("/") + path, **given) as answer:
            yield answer
    except httpx.TimeoutException:
        raise NetworkTimeout(f"{peer} did not answer within {peer.timeout_s:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
        reason = str(error) or type(error).__name__
        raise NetworkError(f"{peer} cannot be reached: {reason}") from None


def _query(
    client: httpx.Client, peer: WebPeer, path: str, asked: Mapping[str, str]
) -> list[Mapping[str, Any]]:
    with _asked(client, peer, "GET", path, params=asked, headers={"Accept": _JSON}) as answer:
        if answer.status_code == 204:
            return []
        if answer.status_code != 200:
            raise _refusal(peer, answer)
        content = _body(peer, answer)
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ProtocolError(
            f"{peer} answers, but not as a DICOMweb service", hint="is this its base address?"
        )
    return found


def _document(peer: WebPeer, answer: httpx.Response) -> Mapping[str, Any]:
    """The Store Instances Response; empty where the service says nothing that can be read."""
    content = _body(peer, answer)
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    if isinstance(found, list) and len(found) == 1:  # some put it into an array
        found = found[0]
    return found if isinstance(found, dict) else {}


def _body(peer: WebPeer, answer: httpx.Response) -> bytes:
    """The answer's content, bounded in bytes and in time."""
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ProtocolError(f"{peer} answers in an encoding that was not asked for")
    deadline = time.monotonic() + _ANSWER_FACTOR * peer.timeout_s
    content = bytearray()
    for piece in answer.iter_raw(64 << 10):
        content += piece
        if len(content) > _MAX_ANSWER_BYTES:
            raise ProtocolError(f"{peer} answers with more than {_MAX_ANSWER_BYTES >> 20} MB")
        if time.monotonic() > deadline:
            raise NetworkTimeout(f"the answer of {peer} does not come to its end")
    return bytes(content)


def _refusal(peer: WebPeer, answer: httpx.Response) -> NetworkError:
    status = answer.status_code
    if status in (401, 403):
        return NetworkError(
            f"{peer} refuses us ({status})", hint="check the node's user name and password or token"
        )
    if 300 <= status < 400:
        return NetworkError(
            f"{peer} sends us elsewhere ({status})", hint="set the node to its real address"
        )
    if status in (404, 405):
        return NetworkError(
            f"{peer} does not offer this ({status})", hint="is this its base address?"
        )
    return NetworkError(f"{peer} answered {status}")


# -- DICOM JSON ----------------------------------------------------------------------------------


def _items(document: Mapping[str, Any], tag: str) -> list[Mapping[str, Any]]:
    element = document.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return [each for each in values if isinstance(each, dict)] if isinstance(values, list) else []


def _first(document: Mapping[str, Any], tag: str) -> object:
    element = document.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if isinstance(values, list) and values else ""


def _number(value: object) -> int | None:
    try:
        return int(str(value)) or None
    except ValueError:
        return None
