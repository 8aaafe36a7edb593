"""What a store request says in its headers, before a byte of its body is read."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse

from isocenter.apps.archive import services
from isocenter.apps.dicomweb.accept import DICOM, JSON, PLAIN_JSON, XML, Offer, chosen_of
from isocenter.apps.dicomweb.errors import problem
from isocenter.core.network.multipart import MultipartDecoder, MultipartError, parse_media_type

OFFERS = (Offer(JSON), Offer(XML), Offer(PLAIN_JSON))
METADATA = (JSON, PLAIN_JSON)
_ACCEPTED = f'send Content-Type: multipart/related; type="{DICOM}"; boundary=…'


class Refusal(Exception):
    """A request that is not even read; carries the answer."""

    def __init__(self, answer: HttpResponse) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


def refuse(status: int, text: str, hint: str = "", **headers: str) -> Refusal:
    """A `Refusal` with a sentence."""
    return Refusal(problem(status, text, hint, **headers))


@dataclass(frozen=True)
class Asked:
    """How the body is to be read, and in which form the answer is wanted.

    Attributes:
        boundary: None: the body is one instance.
        has_metadata: JSON metadata with bulk data beside it, in place of Part 10 files.
        answer_type: media type of the answer.
    """

    boundary: str | None
    has_metadata: bool
    answer_type: str


def asked_of(request: HttpRequest) -> Asked:
    """Read and judge the headers.

    Raises:
        Refusal: the body is not to be read.
        NotAcceptable: the answer is wanted in a form that there is not.
    """
    answer_type = chosen_of(
        request.headers.get("Accept"), request.GET.get("accept"), OFFERS
    ).media_type
    boundary, content = _content_of(request)
    pause = services.reception().paused
    if pause:
        raise refuse(503, f"nothing is taken in now: {pause}", "try again later", Retry_After="60")
    length = request.headers.get("Content-Length") or "0"
    declared = int(length) if length.isdigit() and len(length) < 20 else 0
    if not services.has_room_for(declared):
        raise refuse(507, "the disk has no room for this", "ask an administrator to free some")
    return Asked(boundary, content in METADATA, answer_type)


def _content_of(request: HttpRequest) -> tuple[str | None, str]:
    """Boundary, and the media type of the parts."""
    coding = request.headers.get("Content-Encoding", "").strip().lower()
    if coding not in ("", "identity"):
        raise refuse(415, "a body with a Content-Encoding is not taken", "send it as it is")
    named = request.headers.get("Content-Type", "")
    if not named:
        raise refuse(415, "the body has no Content-Type", _ACCEPTED)
    try:
        kind = parse_media_type(named)
        if kind.type == DICOM:
            return None, DICOM
        if kind.type != "multipart/related":
            raise refuse(415, "this is no multipart/related body", _ACCEPTED)
        content = kind.parameters.get("type", DICOM).strip().lower()
        if content not in (DICOM, *METADATA):
            raise refuse(
                415, "parts of this type are not taken", f"there is: {DICOM}, {JSON} with bulk data"
            )
        boundary = kind.parameters.get("boundary", "")
        MultipartDecoder(boundary)
    except MultipartError as error:
        raise refuse(400, str(error), _ACCEPTED) from None
    return boundary, content
