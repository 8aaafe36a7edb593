"""Metadata of studies, series and instances (PS3.18 10.4.1.1.2)."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from isocenter.apps.accounts.rights import Right
from isocenter.apps.archive import queries
from isocenter.apps.dicomweb.accept import JSON, PLAIN_JSON, XML, Chosen, Offer, chosen_of
from isocenter.apps.dicomweb.addresses import base_url
from isocenter.apps.dicomweb.files_sent import PIECE_BYTES, streamed
from isocenter.apps.dicomweb.guard import is_identified, needs
from isocenter.apps.dicomweb.multipart_answers import Part, multipart_answer
from isocenter.apps.dicomweb.single_answers import ASK_AGAIN, etag_of, not_modified
from isocenter.apps.dicomweb.viewing import note_view

_IN_MEMORY_BYTES = 2 << 20
OFFERED = (Offer(JSON), Offer(PLAIN_JSON), Offer(XML, is_multipart=True))


@needs(Right.VIEW)
def metadata(
    request: HttpRequest, study_uid: str, series_uid: str = "", sop_uid: str = ""
) -> HttpResponseBase:
    """All attributes but bulk data; without VIEW_IDENTIFIED none that identifies."""
    chosen = chosen_of(request.headers.get("Accept"), request.GET.get("accept"), OFFERED)
    found = queries.metadata(study_uid, series_uid, sop_uid)
    identified, base = is_identified(request), base_url(request)
    is_packed = not chosen.is_multipart and _takes_gzip(request)
    note_view(request, study_uid, "metadata")
    form = ("x" if chosen.is_multipart else "j") + "i" * identified + "z" * is_packed
    etag = etag_of(found.etag, form, f"{zlib.crc32(base.encode()):x}")
    response = not_modified(request, etag) or _answer(
        request, found, chosen, base, identified=identified, is_packed=is_packed
    )
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = ASK_AGAIN
    response.headers["Vary"] = "Accept, Accept-Encoding"
    return response


def _answer(
    request: HttpRequest,
    found: queries.Metadata,
    chosen: Chosen,
    base: str,
    *,
    identified: bool,
    is_packed: bool,
) -> HttpResponseBase:
    if chosen.is_multipart:
        documents = _begun(found.xml(base, identified=identified))
        return multipart_answer(request, (Part(XML, (each,)) for each in documents), XML)
    if is_packed:
        pieces = found.gzipped(base, identified=identified)
    else:
        pieces = found.json(base, identified=identified)
    response = _sent(request, pieces, chosen.media_type)
    if is_packed:
        response.headers["Content-Encoding"] = "gzip"
    return response


def _sent(request: HttpRequest, pieces: Iterator[bytes], media_type: str) -> HttpResponseBase:
    """As a whole where it is short; else while it is made."""
    begun: list[bytes] = []
    length = 0
    for piece in pieces:
        begun.append(piece)
        length += len(piece)
        if length > _IN_MEMORY_BYTES:
            return streamed(request, itertools.chain(begun, pieces), content_type=media_type)
    if length >= PIECE_BYTES:
        return streamed(request, begun, content_type=media_type, length=length)
    response = HttpResponse(b"".join(begun), content_type=media_type)
    response.headers["Content-Length"] = str(length)
    return response


def _begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The first piece is made at once: an error of it is still an answer of its own."""
    first = next(pieces, None)
    return pieces if first is None else itertools.chain((first,), pieces)


def _takes_gzip(request: HttpRequest) -> bool:
    for each in request.headers.get("Accept-Encoding", "").lower().split(","):
        coding, _, parameters = each.partition(";")
        if coding.strip() in ("gzip", "*"):
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
