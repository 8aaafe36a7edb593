"""Studies, series and instances as they are stored, or in another transfer syntax: WADO-RS
(PS3.18 10.4)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from django.http import HttpRequest, HttpResponseBase

from isocenter.apps.accounts.access import principal_of
from isocenter.apps.accounts.rights import Right
from isocenter.apps.archive import queries, services
from isocenter.apps.archive.queries import StoredInstance
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.apps.dicomweb.accept import (
    DICOM,
    OCTETS,
    ZIP,
    Chosen,
    Offer,
    acceptable,
    parse_accept,
    refusal,
)
from isocenter.apps.dicomweb.addresses import base_url
from isocenter.apps.dicomweb.errors import NotAcceptable
from isocenter.apps.dicomweb.files_sent import Content, FileSlice, Made, pieces_of, whole_file
from isocenter.apps.dicomweb.guard import needs
from isocenter.apps.dicomweb.instance_parts import as_octets, as_parts, dicom_type
from isocenter.apps.dicomweb.multipart_answers import multipart_answer
from isocenter.apps.dicomweb.single_answers import ASK_AGAIN, etag_of, not_modified, single_answer
from isocenter.apps.dicomweb.syntaxes import Outgoing, outgoing
from isocenter.apps.dicomweb.transcoding_places import AnswerPlace, single_place
from isocenter.core.errors import NotFound, Refused
from isocenter.runtime.web.streaming import Work

_IN_MEMORY_BYTES = 4 << 20  # of a file that was made; larger ones are read while they are sent
MANY = (Offer(DICOM, is_multipart=True), Offer(ZIP), Offer(OCTETS, is_multipart=True))
ONE = (Offer(DICOM, is_multipart=True), Offer(DICOM), Offer(OCTETS, is_multipart=True))


@needs(Right.DOWNLOAD, Right.VIEW_IDENTIFIED)
def instances(request: HttpRequest, study_uid: str, series_uid: str = "") -> HttpResponseBase:
    """All instances of a study or series: in parts, or as a ZIP."""
    taken = _taken(request, MANY)
    if taken[0].media_type == ZIP:
        return services.zip_answer(request, study_uid, series_uid)
    found = list(queries.stored(study_uid=study_uid, series_uid=series_uid))
    if not found:
        what = f"series {series_uid} of study {study_uid}" if series_uid else f"study {study_uid}"
        raise NotFound(f"no {what} is here")
    return _in_parts(request, found, taken)


@needs(Right.DOWNLOAD, Right.VIEW_IDENTIFIED)
def instance(
    request: HttpRequest, study_uid: str, series_uid: str, sop_uid: str
) -> HttpResponseBase:
    """One instance: as the only part, or by itself."""
    taken = _taken(request, ONE)
    found = [queries.stored_instance(study_uid, series_uid, sop_uid)]
    if taken[0].is_multipart:
        return _in_parts(request, found, taken)
    return by_itself(request, outgoing(found, taken)[0])


def by_itself(request: HttpRequest, going: Outgoing) -> HttpResponseBase:
    """One instance as a file; ranges of it may be asked for."""
    row = going.instance
    etag = etag_of(row.digest[:32], row.size, going.syntax)
    if same := not_modified(request, etag):
        return same
    _require_there(row)
    if going.is_as_stored:
        _note(request, [row])
        content = whole_file(row.file, row.size)
        return single_answer(request, [content], dicom_type(going.syntax), etag=etag)
    file = _made(row, going.syntax)
    _note(request, [row])
    return single_answer(request, [file], dicom_type(going.syntax), etag=etag)


def _made(row: StoredInstance, syntax: str) -> Content:
    """An instance in another syntax. A large one stays on the disk until it is sent, or nobody
    wants it any more.

    Raises:
        NotAcceptable: it cannot be given so.
        ChildBusy: too much is being transcoded.
    """
    with ExitStack() as stack:
        made = iter(stack.enter_context(services.transcoded([row], syntax)))
        with single_place():
            _, path, reason = next(made)
        stack.callback(next, made, None)  # the file is there until the next is asked for
        if path is None:
            raise NotAcceptable(f"this instance cannot be given in {syntax}: {reason}")
        size = path.stat().st_size
        if size <= _IN_MEMORY_BYTES:
            return path.read_bytes()
        kept = stack.pop_all()  # ends with the last who knows the content

    def pieces(first: int, length: int) -> Iterator[bytes]:
        with kept:
            yield from pieces_of([FileSlice(path, first, length, size)])

    return Made(pieces, size)


def _taken(request: HttpRequest, offered: Sequence[Offer]) -> list[Chosen]:
    """What the client takes of the form that it likes best.

    Raises:
        NotAcceptable: nothing that there is.
    """
    ranges = parse_accept(request.headers.get("Accept"), request.GET.get("accept"))
    found = acceptable(ranges, offered)
    if not found:
        raise refusal(offered)
    return [each for each in found if each.offer == found[0].offer]


def _in_parts(
    request: HttpRequest, found: list[StoredInstance], taken: list[Chosen]
) -> HttpResponseBase:
    base = base_url(request)
    form = taken[0].media_type
    going = outgoing(found, taken) if form == DICOM else []
    syntaxes = [each.syntax for each in going] or [each.transfer_syntax for each in taken]
    etag = _etag(found, [form, *syntaxes])
    if same := not_modified(request, etag):
        return same
    _require_there(found[0])
    parts = as_octets(found, taken, base) if form == OCTETS else as_parts(going, base)
    work = Work.READING
    if not isinstance(parts, list):
        work = Work.DRAWING if form == OCTETS else Work.TRANSCODING
    is_bounded = work is Work.TRANSCODING and request.method != "HEAD"
    place = AnswerPlace(principal_of(request).user_id) if is_bounded else None
    _note(request, found)
    response = multipart_answer(request, parts, form, work=work)
    if place is not None:
        place.goes_with(response)
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = ASK_AGAIN
    response.headers["Vary"] = "Accept"
    return response


def _require_there(first: StoredInstance) -> None:
    """Before the first byte: the archive's disk is there, as far as one file tells.

    Raises:
        Refused: the file is gone.
    """
    if not first.path.is_file():
        raise Refused(
            "the file of an instance is not in the archive as it was stored",
            hint="isocenter fsck says which files are gone; is the archive's disk mounted?",
        )


def _etag(found: list[StoredInstance], forms: list[str]) -> str:
    """Weak: the boundary is another each time."""
    content = hashlib.sha256()
    for each in found:
        content.update(f"{each.sop_uid} {each.digest} {each.size}\n".encode())
    content.update(" ".join(dict.fromkeys(forms)).encode())
    return etag_of(content.hexdigest()[:32], is_weak=True)


def _note(request: HttpRequest, found: list[StoredInstance]) -> None:
    if request.method == "HEAD":
        return
    record(
        Kind.RETRIEVED,
        study_uid=found[0].study_uid,
        actor=principal_of(request).name,
        by="WADO",
        series=len({each.series_uid for each in found}),
        instances=len(found),
        bytes=sum(each.size for each in found),
    )
