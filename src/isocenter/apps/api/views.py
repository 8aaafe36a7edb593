"""The API's own pages: its description for programs and for people."""

from __future__ import annotations

import json
from functools import cache

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe
from ninja import NinjaAPI

from isocenter.apps.accounts.access import public, signed_in
from isocenter.apps.api.application import build
from isocenter.apps.api.errors import problem


@cache
def the_api() -> NinjaAPI:
    """The one API of this process."""
    return build()


@cache
def _description() -> bytes:
    schema = the_api().get_openapi_schema(path_prefix="/api/v1/")
    return json.dumps(schema, ensure_ascii=False).encode()


@public
@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """OpenAPI 3.1. It is the same for everybody and everywhere, so it is no secret."""
    return HttpResponse(_description(), content_type="application/json")


@signed_in
@require_safe
def entrance(request: HttpRequest) -> HttpResponse:
    """To the description."""
    return redirect("api-docs")


@signed_in
@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """The description for people, with a way to try each operation."""
    response = render(request, "api/docs.html", {"title": "API"})
    # Swagger UI sets style attributes by script; scripts and sheets still come from here only.
    response.headers["Content-Security-Policy"] = DOCS_POLICY
    return response


@public
def nothing(request: HttpRequest, path: str = "") -> HttpResponse:
    """Addresses that are none."""
    return problem(404, "there is no such operation", "see /api/v1/docs")


DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
