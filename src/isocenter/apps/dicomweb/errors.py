"""What is answered in place of a result: ``{"error", "hint"}`` with a status, never a page.

PS3.18 8.7 names the statuses; a sentence says what was wrong, where, and what to do.
"""

from __future__ import annotations

import re
from datetime import datetime

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from isocenter.apps.accounts.access import NotSignedIn
from isocenter.apps.archive import queries
from isocenter.core.errors import (
    BoundsError,
    ChildBusy,
    ChildError,
    ChildTimeout,
    DicomError,
    IsocenterError,
    NotAllowed,
    NotFound,
    PixelError,
    Refused,
    SpoolError,
)
from isocenter.runtime.web.failures import report


class BadRequest(IsocenterError):
    """The request cannot be understood (400)."""


class NotAcceptable(IsocenterError):
    """None of the forms that the sender takes can be given (406)."""


class BeyondRange(IsocenterError):
    """The part that is asked for lies behind the end (416)."""


# The first that fits counts.
_STATUS: tuple[tuple[type[IsocenterError], int], ...] = (
    (NotSignedIn, 401),
    (NotAllowed, 403),
    (NotFound, 404),
    (NotAcceptable, 406),
    (Refused, 409),
    (BeyondRange, 416),
    (BadRequest, 400),
    (ChildTimeout, 503),
    (SpoolError, 503),
    (PixelError, 422),  # what is stored cannot be shown so; the request itself was well
    (BoundsError, 422),
    (ChildError, 422),
    (DicomError, 400),
)

_LONG_WORD = re.compile(r"(\S{70})\S+")  # a UID has 64 characters
_LONGEST = 500


def problem(status: int, error: str, hint: str = "", **headers: str) -> HttpResponse:
    """An answer that says what is wrong.

    Args:
        error: may hold what was asked for; of longer words and sentences the beginning is shown.
        headers: of the answer, with ``_`` for ``-``.
    """
    answer = JsonResponse({"error": _bounded(error), "hint": hint}, status=status)
    for name, value in headers.items():
        answer.headers[name.replace("_", "-")] = value
    if status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def _bounded(text: str) -> str:
    short = _LONG_WORD.sub(r"\1…", text)
    return short if len(short) <= _LONGEST else short[:_LONGEST] + "…"


def answer_to(request: HttpRequest, error: Exception) -> HttpResponse:
    """What is answered to a request whose view raised."""
    if isinstance(error, queries.IndexNotReady):
        return problem(503, str(error.args[0]), error.hint, Retry_After="30")
    if isinstance(error, ChildBusy):
        return problem(503, str(error.args[0]), error.hint, Retry_After="5")
    if isinstance(error, IsocenterError):
        return _of_ours(error)
    if isinstance(error, Http404):
        return problem(404, "there is no such thing")
    if isinstance(error, RequestDataTooBig):
        return problem(413, "the request is too large")
    if isinstance(error, SuspiciousOperation):
        return problem(400, "the request cannot be understood")
    logged = f"the application log has it as {report(request, error, 'dicomweb_failed')}"
    if isinstance(error, OperationalError | InterfaceError):
        return problem(
            503,
            "the database does not answer",
            f"try again in a moment; {logged}",
            Retry_After="5",
        )
    return problem(500, "something went wrong here", logged)


def _of_ours(error: IsocenterError) -> HttpResponse:
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 400)
    message = str(error.args[0]) if error.args else type(error).__name__
    until = getattr(error, "until", None)
    if isinstance(until, datetime):
        seconds = max(1, round((until - timezone.now()).total_seconds()))
        return problem(429, message, f"try again in {seconds} s", Retry_After=str(seconds))
    return problem(status, message, error.hint)
