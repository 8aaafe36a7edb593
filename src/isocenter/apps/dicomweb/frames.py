"""Frames of an instance as bytes (PS3.18 10.4.1.1.6, 8.7.3).

As octets they are native little endian, which is the default; encapsulated ones are given as
they are stored to whoever takes their media type, or any transfer syntax. What is stored the way
it is wanted goes straight from the file; everything else is decoded in warm child processes.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from django.http import HttpRequest, HttpResponseBase

from isocenter.apps.accounts.rights import Right
from isocenter.apps.archive import queries
from isocenter.apps.archive.queries import StoredInstance
from isocenter.apps.dicomweb import pixels
from isocenter.apps.dicomweb.accept import ANY_SYNTAX, OCTETS, Chosen, Offer, chosen_of
from isocenter.apps.dicomweb.addresses import base_url, place_of
from isocenter.apps.dicomweb.files_sent import PIECE_BYTES, Content, FileSlice, Made
from isocenter.apps.dicomweb.guard import is_identified, needs
from isocenter.apps.dicomweb.multipart_answers import Part, multipart_answer
from isocenter.apps.dicomweb.picture_query import check_frames, frame_indices
from isocenter.apps.dicomweb.pixel_rights import require_for_pixels
from isocenter.apps.dicomweb.single_answers import (
    ASK_AGAIN,
    etag_of,
    not_modified,
    single_answer,
)
from isocenter.apps.dicomweb.viewing import note_view
from isocenter.core.dicom.frames import FramePlace, Frames, bytes_between, find_frames, frame_bytes
from isocenter.core.dicom.part10 import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from isocenter.core.errors import NotFound
from isocenter.runtime.web.streaming import Work

#: Media types of encoded frames (PS3.18 table 8.7.3-5), the registered one first.
ENCODED = {
    "1.2.840.10008.1.2.4.50": ("image/jpeg",),
    "1.2.840.10008.1.2.4.51": ("image/jpeg",),
    "1.2.840.10008.1.2.4.57": ("image/jpeg",),
    "1.2.840.10008.1.2.4.70": ("image/jpeg",),
    "1.2.840.10008.1.2.4.80": ("image/jls", "image/x-jls"),
    "1.2.840.10008.1.2.4.81": ("image/jls", "image/x-jls"),
    "1.2.840.10008.1.2.4.90": ("image/jp2",),
    "1.2.840.10008.1.2.4.91": ("image/jp2",),
    "1.2.840.10008.1.2.4.92": ("image/jpx",),
    "1.2.840.10008.1.2.4.93": ("image/jpx",),
    "1.2.840.10008.1.2.4.201": ("image/jphc",),
    "1.2.840.10008.1.2.4.202": ("image/jphc",),
    "1.2.840.10008.1.2.4.203": ("image/jphc",),
    "1.2.840.10008.1.2.5": ("image/dicom-rle", "image/x-dicom-rle"),
}
_MOST_ANNOUNCED = 5000  # parts that are held at once; of more the length is not known beforehand
_NATIVE = (EXPLICIT_LITTLE, IMPLICIT_LITTLE)  # the pixels of both are the same


@needs(Right.VIEW)
def frames(
    request: HttpRequest, study_uid: str, series_uid: str, sop_uid: str, frames: str
) -> HttpResponseBase:
    """Some frames, each a part; one alone by itself where that is asked for."""
    indices = frame_indices(frames)
    row = queries.stored_instance(study_uid, series_uid, sop_uid)
    require_for_pixels(request, row)
    found = _found(row)
    check_frames(indices, found.header.frames)
    chosen = _chosen(request, found, is_one=len(indices) == 1)
    as_stored = _is_as_stored(chosen, found)
    kind = _content_type(chosen, found, as_stored=as_stored)
    name = hashlib.sha256(f"{indices} {kind}".encode()).hexdigest()[:16]
    etag = etag_of(row.digest[:32], row.size, name, is_weak=chosen.is_multipart)
    response: HttpResponseBase | None = not_modified(request, etag)
    if response is None:
        contents = _contents(request, row, found, indices, as_stored=as_stored)
        if chosen.is_multipart:
            response = _parts(request, row, indices, contents, kind, is_ready=as_stored)
        else:
            response = single_answer(request, next(contents), kind, etag=etag)
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = ASK_AGAIN
    response.headers["Vary"] = "Accept"
    note_view(request, study_uid, "images")
    return response


def _found(row: StoredInstance) -> Frames:
    try:
        return find_frames(row.path)
    except OSError as error:
        raise NotFound(f"the file of the instance cannot be read: {error.strerror}") from None


def _chosen(request: HttpRequest, found: Frames, *, is_one: bool) -> Chosen:
    """
    Raises:
        NotAcceptable: the client takes none of the forms that these frames can have.
    """
    from isocenter.core.dicom.pixels import DECODABLE

    syntax = found.header.syntax
    forms: list[tuple[str, tuple[str, ...]]] = []
    if found.is_native:
        forms.append((OCTETS, (*_NATIVE, syntax)))
    elif syntax in DECODABLE:
        forms.append((OCTETS, (*_NATIVE, syntax, ANY_SYNTAX)))
    if not found.is_native:
        forms += [(kind, (syntax,)) for kind in ENCODED.get(syntax, ())]
        if syntax not in DECODABLE:
            forms.append((OCTETS, (syntax, ANY_SYNTAX)))
    offered = [Offer(kind, is_multipart=True, transfer_syntaxes=them) for kind, them in forms]
    if is_one:
        offered += [Offer(kind, transfer_syntaxes=them) for kind, them in forms]
    return chosen_of(request.headers.get("Accept"), request.GET.get("accept"), offered)


def _is_as_stored(chosen: Chosen, found: Frames) -> bool:
    """Whether the stored bytes are what is wanted."""
    if found.is_native:
        return found.in_file and found.is_little_endian
    from isocenter.core.dicom.pixels import DECODABLE

    wanted = (ANY_SYNTAX, found.header.syntax)
    if chosen.media_type != OCTETS or chosen.transfer_syntax in wanted:
        return True
    return found.header.syntax not in DECODABLE


def _content_type(chosen: Chosen, found: Frames, *, as_stored: bool) -> str:
    syntax = found.header.syntax if as_stored and not found.is_native else EXPLICIT_LITTLE
    return f"{chosen.media_type}; transfer-syntax={syntax}"


def _contents(
    request: HttpRequest,
    row: StoredInstance,
    found: Frames,
    indices: Sequence[int],
    *,
    as_stored: bool,
) -> Iterator[list[Content]]:
    """The bytes of each frame; errors of the first are raised at once."""
    if as_stored:
        places = found.places(indices)
        return (
            [_shifted(row.path, place)]
            if place.bits
            else [FileSlice(row.path, *range_, file_size=row.size) for range_ in place.ranges]
            for place in places
        )
    made = pixels.frames_decoded(row, found, indices, identified=is_identified(request))
    return _begun([frame] for frame in made)


def _shifted(path: Path, place: FramePlace) -> Made:
    """A frame that begins inside a byte."""

    def pieces(first: int, length: int) -> Iterator[bytes]:
        for begin in range(first, first + length, PIECE_BYTES):
            end = min(begin + PIECE_BYTES, first + length)
            yield frame_bytes(path, bytes_between(place, begin, end))

    return Made(pieces, place.size)


def _begun(contents: Iterator[list[Content]]) -> Iterator[list[Content]]:
    first = next(contents)
    return itertools.chain([first], contents)


def _parts(
    request: HttpRequest,
    row: StoredInstance,
    indices: Sequence[int],
    contents: Iterator[list[Content]],
    kind: str,
    *,
    is_ready: bool,
) -> HttpResponseBase:
    base = place_of(base_url(request), row.study_uid, row.series_uid, row.sop_uid)
    made: Iterable[Part] = (
        Part(kind, tuple(content), f"{base}/frames/{index + 1}")
        for index, content in zip(indices, contents, strict=True)
    )
    if is_ready and len(indices) <= _MOST_ANNOUNCED:
        made = list(made)  # so that the length of the answer is known
    work = Work.READING if is_ready else Work.DRAWING
    return multipart_answer(request, made, kind.partition(";")[0], work=work)
