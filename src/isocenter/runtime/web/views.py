"""The health endpoints."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from django.conf import settings as configuration
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from isocenter import __version__
from isocenter.apps.accounts.access import principal_of, public
from isocenter.apps.accounts.rights import Right
from isocenter.apps.accounts.services import address_of
from isocenter.runtime.health import check_all


@public
@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """200 as long as this process answers at all; ``asgi`` answers before us where it can."""
    return JsonResponse({"status": "live"})


@public
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """200 when every check is well, else 503; the body says which is not.

    How things are in numbers, versions and addresses is for this machine and for those who look
    after it; anybody else learns which check is well.
    """
    found = check_all(configuration.ISOCENTER, configuration.LAYOUT)
    well = all(check.ok for check in found.values())
    body: dict[str, Any] = {"status": "ready" if well else "not ready"}
    if _may_know(request):
        body["version"] = __version__
        body["checks"] = {name: check.as_dict() for name, check in found.items()}
    else:
        body["checks"] = {name: {"ok": check.ok} for name, check in found.items()}
    return JsonResponse(body, status=200 if well else 503)


def _may_know(request: HttpRequest) -> bool:
    try:
        is_here = ip_address(address_of(request)).is_loopback
    except ValueError:
        is_here = False
    return is_here or principal_of(request).may(Right.VIEW_EVENTS)
