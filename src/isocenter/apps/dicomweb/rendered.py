"""Pictures of studies, series, instances and frames (PS3.18 10.4.1.1.3, 10.4.1.1.4).

One picture is one answer; several are parts of ``multipart/related``. Of a study or series, one
picture is that of the image in its middle, several are those of all images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponseBase

from isocenter.apps.accounts.rights import Right
from isocenter.apps.archive import queries
from isocenter.apps.archive.queries import StoredInstance
from isocenter.apps.dicomweb import pixels
from isocenter.apps.dicomweb.accept import Chosen, Offer, chosen_of
from isocenter.apps.dicomweb.addresses import base_url, place_of
from isocenter.apps.dicomweb.documents import ENCAPSULATED, document
from isocenter.apps.dicomweb.guard import is_identified, needs, require
from isocenter.apps.dicomweb.multipart_answers import Part, multipart_answer
from isocenter.apps.dicomweb.picture_query import (
    check_frames,
    frame_indices,
    rendered_options,
    thumbnail_options,
    uri_options,
)
from isocenter.apps.dicomweb.pixel_rights import require_for_pixels
from isocenter.apps.dicomweb.shown_images import shown_of
from isocenter.apps.dicomweb.single_answers import (
    ASK_AGAIN,
    etag_of,
    not_modified,
    single_answer,
)
from isocenter.apps.dicomweb.viewing import note_view
from isocenter.core.errors import DicomError, NotAllowed, NotFound, PixelError
from isocenter.core.rendering.order import GIF, JPEG, PNG, Order
from isocenter.runtime.web.streaming import Work

#: Part of each entity tag: another number where pictures come out otherwise than before.
_VERSION = 1
_TRIES = 12  # instances looked at for the one picture of a study or series
SINGLE = (Offer(JPEG), Offer(PNG), Offer(GIF))
PARTS = tuple(Offer(kind, is_multipart=True) for kind in (JPEG, PNG, GIF))


@needs(Right.VIEW)
def study_rendered(request: HttpRequest, study_uid: str) -> HttpResponseBase:
    """All images of a study, or one that stands for it."""
    return _collection(request, _images(study_uid), rendered_options(request.GET))


@needs(Right.VIEW)
def series_rendered(request: HttpRequest, study_uid: str, series_uid: str) -> HttpResponseBase:
    """All images of a series, or the one in its middle."""
    return _collection(request, _images(study_uid, series_uid), rendered_options(request.GET))


@needs(Right.VIEW)
def instance_rendered(
    request: HttpRequest, study_uid: str, series_uid: str, sop_uid: str
) -> HttpResponseBase:
    """An instance: one picture, or as a GIF all its frames; a document as it is."""
    row = queries.stored_instance(study_uid, series_uid, sop_uid)
    if row.sop_class_uid in ENCAPSULATED:
        return document(request, row)
    return _instance(request, row, rendered_options(request.GET))


@needs(Right.VIEW)
def frames_rendered(
    request: HttpRequest, study_uid: str, series_uid: str, sop_uid: str, frames: str
) -> HttpResponseBase:
    """Some frames: one picture each, or an animation of them."""
    indices = frame_indices(frames)
    row = queries.stored_instance(study_uid, series_uid, sop_uid)
    return _frames(request, row, indices, rendered_options(request.GET))


@needs(Right.VIEW)
def study_thumbnail(request: HttpRequest, study_uid: str) -> HttpResponseBase:
    """One small picture that stands for a study."""
    return _representative(request, _images(study_uid), thumbnail_options(request.GET), SINGLE)


@needs(Right.VIEW)
def series_thumbnail(request: HttpRequest, study_uid: str, series_uid: str) -> HttpResponseBase:
    """One small picture of the image in the middle of a series."""
    images = _images(study_uid, series_uid)
    return _representative(request, images, thumbnail_options(request.GET), SINGLE)


@needs(Right.VIEW)
def instance_thumbnail(
    request: HttpRequest, study_uid: str, series_uid: str, sop_uid: str
) -> HttpResponseBase:
    """A small picture of the frame that stands for an instance."""
    row = queries.stored_instance(study_uid, series_uid, sop_uid)
    return _instance(request, row, thumbnail_options(request.GET))


@needs(Right.VIEW)
def frames_thumbnail(
    request: HttpRequest, study_uid: str, series_uid: str, sop_uid: str, frames: str
) -> HttpResponseBase:
    """Small pictures of some frames."""
    indices = frame_indices(frames)
    row = queries.stored_instance(study_uid, series_uid, sop_uid)
    return _frames(request, row, indices, thumbnail_options(request.GET))


def by_uri(request: HttpRequest, row: StoredInstance) -> HttpResponseBase:
    """A picture as WADO-URI wants it (PS3.18 9): media type by ``contentType``, then ``Accept``.

    The caller has asked for the right VIEW.

    Raises:
        BadRequest, NotAcceptable, NotFound, NotAllowed, PixelError: as the other views.
    """
    if row.sop_class_uid in ENCAPSULATED:
        return document(request, row)
    options = uri_options(request.GET)
    asked = request.GET.get("contentType") or request.headers.get("Accept")
    chosen = chosen_of(asked, None, SINGLE)
    if frames := options.get("frames", ()):
        check_frames(frames, row.number_of_frames or 1)
    return _one(request, row, _order(request, chosen, options))


def _images(study_uid: str, series_uid: str = "") -> list[StoredInstance]:
    """The instances that may be images.

    Raises:
        NotFound: no such study or series is here.
    """
    rows = list(queries.stored(study_uid=study_uid, series_uid=series_uid))
    if not rows:
        raise NotFound(f"no {'series' if series_uid else 'study'} like that is here")
    images = [row for row in rows if row.modality not in queries.NO_PICTURE]
    if not images:
        raise PixelError("there is no image in it")
    return images


def _taken(request: HttpRequest, offered: Sequence[Offer]) -> Chosen:
    return chosen_of(request.headers.get("Accept"), request.GET.get("accept"), offered)


def _order(request: HttpRequest, chosen: Chosen, options: dict[str, Any], **more: Any) -> Order:
    order = Order(media_type=chosen.media_type, **(options | more))
    if "patient" in order.annotation:
        require(request, Right.VIEW_IDENTIFIED)
    return order


def _instance(
    request: HttpRequest, row: StoredInstance, options: dict[str, Any]
) -> HttpResponseBase:
    chosen = _taken(request, (*SINGLE, *PARTS))
    order = _order(request, chosen, options)
    if chosen.is_multipart:
        return _many(request, [(row, order)], chosen.media_type)
    return _one(request, row, order)


def _frames(
    request: HttpRequest, row: StoredInstance, indices: tuple[int, ...], options: dict[str, Any]
) -> HttpResponseBase:
    check_frames(indices, row.number_of_frames or 1)
    is_one = len(indices) == 1
    chosen = _taken(request, (*SINGLE, *PARTS) if is_one else (*PARTS, Offer(GIF)))
    if not chosen.is_multipart:
        return _one(request, row, _order(request, chosen, options, frames=indices))
    orders = [_order(request, chosen, options, frames=(index,)) for index in indices]
    return _many(request, [(row, order) for order in orders], chosen.media_type)


def _collection(
    request: HttpRequest, rows: list[StoredInstance], options: dict[str, Any]
) -> HttpResponseBase:
    chosen = _taken(request, (*PARTS, *SINGLE))
    if not chosen.is_multipart:
        return _representative(request, rows, options, SINGLE)
    order = _order(request, chosen, options)
    shown, warning = shown_of(request, rows)
    wanted = [(row, order) for row in shown]
    return _many(request, wanted, chosen.media_type, warning=warning)


def _representative(
    request: HttpRequest,
    rows: list[StoredInstance],
    options: dict[str, Any],
    offered: Sequence[Offer],
) -> HttpResponseBase:
    """The image in the middle of the first series that has one that can be drawn."""
    order = _order(request, _taken(request, offered), options)
    error: DicomError | NotAllowed | None = None
    for row in _candidates(rows)[:_TRIES]:
        try:
            return _one(request, row, order)
        except (DicomError, NotAllowed) as found:
            error = error or found  # what is said of the first is what a person wants to know
    raise error or PixelError("there is no image in it")


def _candidates(rows: list[StoredInstance]) -> list[StoredInstance]:
    """Of each series the middle, then the first and the last instance."""
    series: dict[str, list[StoredInstance]] = {}
    for row in rows:
        series.setdefault(row.series_uid, []).append(row)
    wanted = [found[place] for found in series.values() for place in (len(found) // 2, 0, -1)]
    return list({row.sop_uid: row for row in wanted}.values())


def _one(request: HttpRequest, row: StoredInstance, order: Order) -> HttpResponseBase:
    require_for_pixels(request, row)
    etag = _etag(request, [(row, order)])
    response: HttpResponseBase | None = not_modified(request, etag)
    if response is None:
        picture = bytes(pixels.drawn(row, order, identified=is_identified(request)))
        response = single_answer(request, [picture], order.media_type, etag=etag)
    note_view(request, row.study_uid, "images")
    return response


def _many(
    request: HttpRequest,
    wanted: Sequence[tuple[StoredInstance, Order]],
    media_type: str,
    *,
    warning: str = "",
) -> HttpResponseBase:
    """Pictures as parts, drawn while they are sent. One that cannot be drawn after all breaks the
    transfer, so that nobody takes what came for the whole.

    Args:
        warning: what is left out; the answer says so, and is 206 instead of 200.
    """
    identified = is_identified(request)
    require_for_pixels(request, wanted[0][0])
    etag = _etag(request, wanted)
    response: HttpResponseBase | None = not_modified(request, etag)
    if response is None:
        parts = _parts(base_url(request), wanted, identified)
        first = next(parts)  # before the answer begins, so that an error can be told
        chained = _chained(first, parts)
        response = multipart_answer(request, chained, media_type, work=Work.DRAWING)
        if warning:
            response.status_code = 206
            response.headers["Warning"] = warning
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = ASK_AGAIN
    response.headers["Vary"] = "Accept"
    note_view(request, wanted[0][0].study_uid, "images")
    return response


def _parts(
    base: str, wanted: Sequence[tuple[StoredInstance, Order]], identified: bool
) -> Iterator[Part]:
    for row, order in wanted:
        picture = bytes(pixels.drawn(row, order, identified=identified))
        place = place_of(base, row.study_uid, row.series_uid, row.sop_uid)
        if order.frames:
            place += f"/frames/{order.frames[0] + 1}"
        yield Part(order.media_type, (picture,), f"{place}/rendered")


def _chained(first: Part, rest: Iterator[Part]) -> Iterator[Part]:
    yield first
    yield from rest


def _etag(request: HttpRequest, wanted: Sequence[tuple[StoredInstance, Order]]) -> str:
    """Says which pictures of which files; weak for several, whose boundary is another each time."""
    digest = hashlib.sha256(f"{_VERSION} {is_identified(request)}".encode())
    for row, order in wanted:
        digest.update(f"{row.digest} {row.size} {order}".encode())
    return etag_of(digest.hexdigest()[:32], is_weak=len(wanted) != 1)
