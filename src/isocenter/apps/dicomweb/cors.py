"""Pages of other origins: those that the setting ``web.cors_origins`` names may ask here.

Stands before everything that can say no, so that a page is told why. Credentials (the session's
cookie) go with a named origin only, never with ``*``; cookies are ``SameSite=Lax`` besides, so
that a page of another site sends a token.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from isocenter.apps.dicomweb.empty import empty_answer
from isocenter.apps.dicomweb.errors import problem

#: Beginnings of the addresses that answer pages of other origins.
OPEN = ("/dicom-web/", "/wado")
_METHODS = "GET, HEAD, POST, DELETE, OPTIONS"
# No X-CSRFToken: what a page of another origin stores or deletes, it does with a token.
_HEADERS = "Authorization, Accept, Content-Type, If-None-Match, If-Range, Range, X-Requested-With"
_EXPOSED = (
    "Content-Length, Content-Location, Content-Range, Accept-Ranges, ETag, Warning, Retry-After, "
    "WWW-Authenticate"
)


class CrossOrigin:
    """Middleware: answers preflights, and adds the headers to every answer of DICOMweb."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith(OPEN):
            return self.get_response(request)
        try:
            request.get_host()
        except DisallowedHost:  # said here, as the answer would be a page else
            return problem(
                400,
                "Host names another server",
                "the setting web.public_url names the address that clients use",
            )
        headers = headers_for(request.headers.get("Origin", ""))
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            return _preflight(headers)
        response = self.get_response(request)
        for name, value in headers.items():
            before = response.headers.get("Vary") if name == "Vary" else None
            response.headers[name] = f"{before}, {value}" if before else value
        return response


def headers_for(origin: str) -> dict[str, str]:
    """What an answer to this ``Origin`` has to say; empty where no other origin may ask."""
    allowed = settings.ISOCENTER.web.cors_origins
    if not allowed:
        return {}
    if "*" in allowed:
        return {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": _EXPOSED}
    if origin.lower() not in allowed:
        return {"Vary": "Origin"}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": _EXPOSED,
        "Vary": "Origin",
    }


def _preflight(headers: dict[str, str]) -> HttpResponse:
    response = empty_answer(204, headers)
    if "Access-Control-Allow-Origin" in headers:
        response.headers["Access-Control-Allow-Methods"] = _METHODS
        response.headers["Access-Control-Allow-Headers"] = _HEADERS
        response.headers["Access-Control-Max-Age"] = "600"
    return response
