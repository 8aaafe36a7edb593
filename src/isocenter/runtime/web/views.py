"""The health endpoints."""

from __future__ import annotations

from django.conf import settings as configuration
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from isocenter import __version__
from isocenter.apps.accounts.access import public
from isocenter.runtime.health import check_all


@public
@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """200 as long as this process answers at all; ``asgi`` answers before us where it can."""
    return JsonResponse({"status": "live"})


@public
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """200 when every check is well, else 503; the body says which is not."""
    found = check_all(configuration.ISOCENTER, configuration.LAYOUT)
    well = all(check.ok for check in found.values())
    body = {
        "status": "ready" if well else "not ready",
        "version": __version__,
        "checks": {name: check.as_dict() for name, check in found.items()},
    }
    return JsonResponse(body, status=200 if well else 503)
