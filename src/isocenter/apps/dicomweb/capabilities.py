"""What this service can do (PS3.18 8.9)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from isocenter.apps.accounts.rights import Right
from isocenter.apps.dicomweb.guard import by_method, needs


@needs(Right.VIEW)
def _capabilities(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=204)


capabilities = by_method(GET=_capabilities, OPTIONS=_capabilities)
