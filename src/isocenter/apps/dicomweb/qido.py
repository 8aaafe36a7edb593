"""Search (PS3.18 10.6)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from isocenter.apps.accounts.rights import Right
from isocenter.apps.dicomweb.guard import needs


@needs(Right.VIEW)
def studies(request: HttpRequest) -> HttpResponse:
    """Search for studies."""
    return HttpResponse(status=204)


@needs(Right.VIEW)
def series(request: HttpRequest, study_uid: str = "") -> HttpResponse:
    """Search for series."""
    return HttpResponse(status=204)


@needs(Right.VIEW)
def instances(request: HttpRequest, study_uid: str = "", series_uid: str = "") -> HttpResponse:
    """Search for instances."""
    return HttpResponse(status=204)
