"""``POST /dicom-web/studies`` and ``…/studies/{study}``: judged, read, stored, answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError

from isocenter.apps.accounts.access import principal_of
from isocenter.apps.archive import services
from isocenter.apps.archive.services import Deposit, Deposited
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import Entry, record_many
from isocenter.apps.dicomweb.addresses import base_url
from isocenter.apps.dicomweb.stow.answer import answer_of
from isocenter.apps.dicomweb.stow.asked import Asked, Refusal, asked_of, refuse
from isocenter.apps.dicomweb.stow.body import Body, PartsBody, SingleBody
from isocenter.apps.dicomweb.stow.described import DescribedBody
from isocenter.apps.dicomweb.stow.places import place_for
from isocenter.core.errors import BoundsError, ChildError, DicomError
from isocenter.core.network.multipart import MultipartError, PartTooLong

_READ_BYTES = 4 << 20  # more than a piece has: none is cut
_MOST_EVENTS = 1000

log = structlog.get_logger(__name__)


def store(request: HttpRequest, study_uid: str = "") -> HttpResponse:
    """Store the instances of the body; durable when it answers.

    All of a body counts or none of it: one that is cut off or cannot be read leaves nothing.
    """
    try:
        asked = asked_of(request)
        with place_for(principal_of(request).user_id):
            results = _stored(request, asked, study_uid)
    except Refusal as refusal:
        return refusal.answer
    _write_down(results, principal_of(request).name)
    return answer_of(
        results,
        base_url=base_url(request),
        study_uid=study_uid,
        media_type=asked.answer_type,
        is_paused=bool(services.reception().paused),
    )


def _stored(request: HttpRequest, asked: Asked, study_uid: str) -> Sequence[Deposited]:
    actor = principal_of(request).name
    _give_back()
    with services.open_deposit(actor, study_uid) as deposit:
        try:
            with _body(asked, deposit) as body:
                _read(request, body)
                body.finish()
        except PartTooLong as error:
            raise refuse(413, str(error), "nothing of this request was stored") from None
        except (MultipartError, DicomError, ChildError) as error:
            status = 413 if isinstance(error, BoundsError) else 400
            text = str(error.args[0])
            raise refuse(status, text, "nothing of this request was stored") from None
        except UnreadablePostError as error:
            is_late = getattr(error.__cause__, "is_late", False)
            hint = getattr(error.__cause__, "hint", "send it again, whole")
            hint = f"{hint}; nothing of this request was stored"
            raise refuse(408 if is_late else 400, str(error), hint) from None
        return deposit.commit()


@contextmanager
def _body(asked: Asked, deposit: Deposit) -> Iterator[Body]:
    most = int(settings.ISOCENTER.limits.max_instance_mb) << 20
    if asked.boundary is None:
        yield SingleBody(deposit, max_part_bytes=most)
    elif asked.has_metadata:
        with DescribedBody(deposit, asked.boundary, max_part_bytes=most) as body:
            yield body
    else:
        yield PartsBody(deposit, asked.boundary, max_part_bytes=most)


def _read(request: HttpRequest, body: Body) -> None:
    left = int(settings.ISOCENTER.limits.max_request_mb) << 20
    while piece := request.read(_READ_BYTES):
        left -= len(piece)
        if left < 0:
            raise PartTooLong("the request is longer than limits.max_request_mb")
        body.feed(piece)


def _give_back() -> None:
    """A long body must not keep a connection of the database's pool."""
    if not connection.in_atomic_block:
        connection.close()


def _write_down(results: Sequence[Deposited], actor: str) -> None:
    """One event per study; what is stored stays so where the database is away just now."""
    counts: dict[str, int] = {}
    for each in results:
        if each.failure is None:
            counts[each.study_uid] = counts.get(each.study_uid, 0) + 1
    failed = sum(1 for each in results if each.failure is not None)
    entries = [
        Entry(Kind.STOWED, uid, actor, {"instances": count})
        for uid, count in list(counts.items())[:_MOST_EVENTS]
    ]
    if failed:
        reasons = sorted({f"{each.failure:04X}" for each in results if each.failure is not None})
        entries.append(Entry(Kind.STOWED, "", actor, {"failed": failed, "reasons": reasons}))
    try:
        record_many(entries)
    except DatabaseError as error:
        log.error("stored, but not in the audit", studies=len(counts), error=str(error)[:200])
