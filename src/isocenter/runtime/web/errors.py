"""Error pages: in the layout, with what to do, and never with a trace."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from isocenter.core.errors import IsocenterError, NotAllowed, NotFound
from isocenter.runtime.web.failures import report

PLAIN = "The page could not be made. The application log says why.\n"


def page(
    request: HttpRequest, status: int, title: str, text: str = "", hint: str = ""
) -> HttpResponse:
    """An error as a page; plain text where not even the layout can be made."""
    context = {"status": status, "title": title, "text": text, "hint": hint}
    try:
        return render(request, "web/error.html", context, status=status)
    except Exception as error:
        # This is the last that can still be said.
        report(request, error, "error_page_failed")
        return HttpResponse(f"{title} {text}\n{PLAIN}", status=status, content_type="text/plain")


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return page(request, 400, "This request could not be understood.")


def not_allowed(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    text = str(exception) if isinstance(exception, PermissionDenied) else ""
    return page(request, 403, "This is not allowed.", text, "An administrator can give the right.")


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return page(
        request, 404, "There is no such page.", "It may have been deleted, or the address is wrong."
    )


def server_error(request: HttpRequest) -> HttpResponse:
    error = sys.exc_info()[1]
    number = report(request, error, "page_failed")
    logged = f"The application log has it as {number}."
    if isinstance(error, OperationalError | InterfaceError):
        return page(
            request,
            503,
            "The database does not answer.",
            logged,
            "Try again in a moment; `isocenter doctor` says what is wrong.",
        )
    return page(
        request,
        500,
        "Something went wrong here.",
        logged,
        "Try again; if it stays, send the log to whoever looks after Isocenter.",
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return page(
        request,
        403,
        "This form has expired.",
        "Nothing was changed.",
        "Go back, load the page again and send it once more.",
    )


class ErrorPages:
    """Turns errors of ours that a view lets through into pages that say the same.

    An address with a NUL names nothing: PostgreSQL keeps none, and no name of ours has one. The
    API and DICOMweb say so themselves, as JSON.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        if request.path.startswith(("/api/", "/dicom-web/", "/wado")):
            return None
        texts = (*kwargs.values(), *request.GET, *(v for vs in request.GET.lists() for v in vs[1]))
        if any("\x00" in text for text in texts if isinstance(text, str)):
            return not_found(request)
        return None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, IsocenterError) or isinstance(error, Http404):
            return None
        message = str(error.args[0]) if error.args else "This cannot be done."
        sentence = message[:1].upper() + message[1:]
        if isinstance(error, NotFound):
            return page(request, 404, "Not found.", sentence, error.hint)
        if isinstance(error, NotAllowed):
            return page(request, 403, "This is not allowed.", sentence, error.hint)
        return page(request, 400, "This cannot be done.", sentence, error.hint)
