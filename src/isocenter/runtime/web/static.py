"""Static files: their addresses carry a digest of their content, so browsers keep them for ever.

There is no ``collectstatic``: files are served from where the packages have them.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import StaticFilesStorage
from django.http import HttpRequest, HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import StaticFile

from isocenter.runtime.web.headers import ASK_AGAIN, FOR_EVER

VERSION = "v"
_DIGITS = 12


@functools.cache
def version_of(name: str) -> str:
    """The beginning of the SHA-256 of a static file; empty where there is none of that name."""
    found = finders.find(name)
    if not isinstance(found, str):
        return ""
    return hashlib.sha256(Path(found).read_bytes()).hexdigest()[:_DIGITS]


class VersionedStorage(StaticFilesStorage):
    """``{% static %}`` gives ``/static/web/app.js?v=0123456789ab``."""

    def url(self, name: str | None, *args: object, **more: object) -> str:
        address = super().url(name)
        version = version_of(name or "")
        return f"{address}?{VERSION}={version}" if version else address


class StaticFiles(WhiteNoiseMiddleware):
    """WhiteNoise with whole responses, which an asynchronous server need not gather from parts."""

    @staticmethod
    def serve(static_file: StaticFile, request: HttpRequest) -> HttpResponse:
        found = static_file.get_response(request.method, request.META)
        content = b""
        if found.file is not None:
            with found.file:
                content = found.file.read()
        response = HttpResponse(content, status=int(found.status))
        del response["Content-Type"]
        for name, value in found.headers:
            response[name] = value
        response["Cache-Control"] = FOR_EVER if VERSION in request.GET else ASK_AGAIN
        return response
