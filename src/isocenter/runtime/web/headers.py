"""Response headers of every page and answer."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"
NEVER = "no-store"


class TrueLengths:
    """``Content-Length`` is what a GET would have, or is not there (RFC 9110 8.6).

    Django counts the bytes that an answer has here: none in a 304, and none in the answer to HEAD
    where the view did not make what a GET would get. An answer that says no before Django counts,
    as to a ``Host`` that is not ours, it does not count at all.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        status = response.status_code
        if isinstance(response, HttpResponse) and "Content-Length" not in response.headers:
            response.headers["Content-Length"] = str(len(response.content))
        is_counted = request.method == "HEAD" or status == 304
        if status == 204 or (is_counted and response.headers.get("Content-Length") == "0"):
            del response.headers["Content-Length"]
        return response


class ContentSecurityPolicy:
    """Nothing is loaded from elsewhere, no script stands in a page, and no page is kept.

    Stands before the static files, so that it sees their responses too.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("Cache-Control", NEVER)
        return response
