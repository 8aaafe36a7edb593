"""The status page and the health endpoints."""

from __future__ import annotations

from typing import Any

from django.conf import settings as configuration
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from isocenter import __version__
from isocenter.runtime.health import check_all, work_counts
from isocenter.runtime.state_files import read_state

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 50rem; padding: 0 1rem;
  color: #1c2430; background: #fff; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid #d5dbe3; }
.ok { color: #12692f; } .bad { color: #a3161b; font-weight: 600; }
@media (prefers-color-scheme: dark) { body { background: #12161c; color: #e4e8ee; }
  th, td { border-color: #333c48; } .ok { color: #6fd08c; } .bad { color: #ff8d8d; } }
"""


@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """200 as long as this process answers at all."""
    return JsonResponse({"status": "live"})


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


@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """The same for people, and how much there is to do. No patient's data."""
    found = check_all(configuration.ISOCENTER, configuration.LAYOUT)
    counts: dict[str, dict[str, int]] | None
    try:
        counts = work_counts()
    except DatabaseError:
        counts = None
    runtime = read_state(configuration.LAYOUT.run / "runtime.json")
    context: dict[str, Any] = {
        "version": __version__,
        "well": all(check.ok for check in found.values()),
        "checks": found,
        "counts": counts,
        "dicom": runtime.get("dicom"),
        "data_dir": configuration.ISOCENTER.data_dir,
    }
    return render(request, "status.html", context)


@require_safe
def stylesheet(request: HttpRequest) -> HttpResponse:
    return HttpResponse(_STYLE, content_type="text/css; charset=utf-8")
