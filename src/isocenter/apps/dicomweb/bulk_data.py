"""Bulk data: what a BulkDataURI of the metadata leads to (PS3.18 10.4.1.1.5)."""

from __future__ import annotations

from urllib.parse import quote

from django.http import HttpRequest, HttpResponseBase

from isocenter.apps.accounts.rights import Right
from isocenter.apps.archive import queries
from isocenter.apps.dicomweb.accept import (
    ANY_SYNTAX,
    OCTETS,
    Chosen,
    Offer,
    acceptable,
    parse_accept,
    refusal,
)
from isocenter.apps.dicomweb.addresses import base_url, place_of
from isocenter.apps.dicomweb.files_sent import Content, FileSlice, Made
from isocenter.apps.dicomweb.guard import needs
from isocenter.apps.dicomweb.multipart_answers import Part, multipart_answer
from isocenter.apps.dicomweb.pixel_rights import require_for_place
from isocenter.apps.dicomweb.single_answers import (
    ASK_AGAIN,
    etag_of,
    not_modified,
    single_answer,
)
from isocenter.apps.dicomweb.viewing import note_view
from isocenter.core.errors import NotFound

_EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"


@needs(Right.VIEW)
def bulk_data(
    request: HttpRequest, study_uid: str, series_uid: str, sop_uid: str, place: str
) -> HttpResponseBase:
    """One value: as one part, or of encapsulated pixel data one part per frame.

    Who may see it is settled before it is looked for.
    """
    row = queries.stored_instance(study_uid, series_uid, sop_uid)
    require_for_place(request, row, place)
    try:
        found = queries.bulk_data(study_uid, series_uid, sop_uid, place)
    except OSError as error:
        raise NotFound(f"the file of instance {sop_uid} cannot be read: {error.strerror}") from None
    chosen = _chosen(request, found)
    note_view(request, study_uid, "images" if found.is_pixel_data else "bulk data")
    if not chosen.is_multipart:
        contents = [piece for part in found.parts for piece in contents_of(part)]
        return single_answer(request, contents, chosen.media_type, etag=etag_of(found.etag))
    etag = etag_of(found.etag, "m", is_weak=True)
    response = not_modified(request, etag)
    if response is None:
        kind = _content_type(found, chosen)
        instance = place_of(base_url(request), study_uid, series_uid, sop_uid)
        parts = [
            Part(kind, contents_of(part), f"{instance}/bulkdata/{quote(place)}")
            for part in found.parts
        ]
        response = multipart_answer(request, parts, chosen.media_type)  # type: ignore[assignment]
        assert response is not None
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = ASK_AGAIN
    response.headers["Vary"] = "Accept"
    return response


def _chosen(request: HttpRequest, found: queries.BulkData) -> Chosen:
    """
    Raises:
        NotAcceptable: the client does not take the form that this value has.
    """
    syntaxes = (found.transfer_syntax_uid, ANY_SYNTAX)
    offered = [Offer(found.content_type, is_multipart=True, transfer_syntaxes=syntaxes)]
    if len(found.parts) == 1:
        offered.append(Offer(found.content_type, transfer_syntaxes=syntaxes))
    if found.content_type != OCTETS:
        # Compressed frames as bytes of their own kind, for whoever takes any syntax.
        offered.append(Offer(OCTETS, is_multipart=True, transfer_syntaxes=syntaxes))
    ranges = parse_accept(request.headers.get("Accept"), request.GET.get("accept"))
    for chosen in acceptable(ranges, offered):
        if chosen.media_type == OCTETS != found.content_type and not chosen.transfer_syntax:
            continue  # octets without a syntax are explicit little endian (PS3.18 8.7.3.5)
        return chosen
    raise refusal(offered, as_stored=found.content_type != OCTETS)


def _content_type(found: queries.BulkData, chosen: Chosen) -> str:
    if found.transfer_syntax_uid == _EXPLICIT_LITTLE_ENDIAN:
        return chosen.media_type
    return f"{chosen.media_type}; transfer-syntax={found.transfer_syntax_uid}"


def contents_of(part: queries.BulkPart) -> tuple[Content, ...]:
    """The bytes of a part on their way out."""
    if part.made is not None:
        return (Made(part.made.pieces, part.made.length),)
    return tuple(FileSlice(part.path, offset, length) for offset, length in part.ranges)
