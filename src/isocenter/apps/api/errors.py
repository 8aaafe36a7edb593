"""Errors as JSON: ``{"error", "hint"}``, with ``problems`` where several places are wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.utils import timezone
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from isocenter.apps.accounts.access import NotSignedIn
from isocenter.core.errors import (
    ConditionError,
    ConfigurationError,
    IsocenterError,
    NetworkError,
    NotAllowed,
    NotFound,
    PipelineError,
    Refused,
    RoutingError,
    SpoolError,
)
from isocenter.runtime.web.failures import report

# The first that fits counts.
_STATUS: tuple[tuple[type[IsocenterError], int], ...] = (
    (NotSignedIn, 401),
    (NotAllowed, 403),
    (NotFound, 404),
    (Refused, 409),
    (SpoolError, 503),
    (ConfigurationError, 422),
    (RoutingError, 422),
    (NetworkError, 502),
)


def add_handlers(api: NinjaAPI) -> None:
    """Have every error of an operation answered in one form."""
    for kind in (Exception, ValidationError, HttpError, Http404):
        api.add_exception_handler(kind, answer)


def answer(request: HttpRequest, error: Exception | type[Exception]) -> HttpResponse:
    """What is answered in place of a result."""
    if isinstance(error, IsocenterError):
        return of_ours(error)
    if isinstance(error, ValidationError):
        return _of_input(error)
    if isinstance(error, HttpError):
        return problem(error.status_code, str(error))
    if isinstance(error, Http404):
        return problem(404, "there is no such thing")
    if isinstance(error, RequestDataTooBig):
        return problem(413, "the request is too large")
    if isinstance(error, SuspiciousOperation | MultiPartParserError | UnreadablePostError):
        return problem(400, "the request cannot be understood")
    number = report(request, error if isinstance(error, Exception) else None, "api_failed")
    if isinstance(error, OperationalError | InterfaceError):
        return problem(
            503, "the database does not answer", f"try again in a moment; {_logged(number)}"
        )
    return problem(500, "something went wrong here", _logged(number))


def _logged(number: str) -> str:
    return f"the application log has it as {number}"


def problem(status: int, error: str, hint: str = "", **more: Any) -> HttpResponse:
    """An answer that says what is wrong."""
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JsonResponse({"error": error, "hint": hint, **more}, status=status, headers=headers)


def of_ours(error: IsocenterError) -> HttpResponse:
    """An error of the one tree."""
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 400)
    message = str(error.args[0]) if error.args else type(error).__name__
    if until := getattr(error, "until", None):
        return _wait(message, until)
    more: dict[str, Any] = {}
    if found := list(_problems(error)):
        more["problems"] = found
    if isinstance(error, ConditionError):
        more["position"] = error.position
    elif isinstance(error, PipelineError) and error.path:
        more["path"] = error.path
    return problem(status, message, error.hint, **more)


def _wait(message: str, until: datetime) -> HttpResponse:
    """Too many wrong passwords."""
    seconds = max(1, round((until - timezone.now()).total_seconds()))
    answer = problem(429, message, f"try again in {seconds} s, or ask an administrator")
    answer.headers["Retry-After"] = str(seconds)
    return answer


def _problems(error: IsocenterError) -> Iterator[dict[str, Any]]:
    """Each place that is wrong: of a definition with several errors, or of a form's fields."""
    for inner in getattr(error, "errors", ()):
        yield {"path": inner.path, "error": str(inner.args[0]), "hint": inner.hint}
    found = getattr(error, "problems", {})
    # By field; a weak password has sentences about the one field that it is.
    places = found.items() if isinstance(found, Mapping) else (("", text) for text in found)
    for field, text in places:
        yield {"path": field, "error": text, "hint": ""}


def _of_input(error: ValidationError) -> HttpResponse:
    problems = [
        {"path": ".".join(map(str, item["loc"][1:])), "error": item["msg"], "hint": ""}
        for item in error.errors
    ]
    first = problems[0] if problems else {"path": "", "error": "it cannot be read"}
    message = f"{first['path']}: {first['error']}" if first["path"] else first["error"]
    return problem(422, message, "the API's page says what is expected", problems=problems)
