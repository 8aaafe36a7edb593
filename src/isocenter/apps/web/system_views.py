"""System and settings pages."""

from __future__ import annotations

from django.conf import settings as configuration
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from isocenter.apps.accounts.access import needs
from isocenter.apps.accounts.rights import Right
from isocenter.runtime.overview import overview
from isocenter.runtime.settings_in_force import settings_in_force
from isocenter.runtime.web.paging import is_part


@needs(Right.VIEW_EVENTS)
@require_safe
def system(request: HttpRequest) -> HttpResponse:
    """How the platform is: checks, disk, queues, parts, versions."""
    found = overview(configuration.ISOCENTER, configuration.LAYOUT)
    template = "web/system_part.html" if is_part(request) else "web/system.html"
    return render(request, template, {"overview": found})


@needs(Right.MANAGE_SYSTEM)
@require_safe
def settings_page(request: HttpRequest) -> HttpResponse:
    """Every setting as it counts, and where it comes from."""
    wanted = request.GET.get("search", "").strip()[:100]
    changed_only = request.GET.get("changed") == "on"
    sections = settings_in_force(configuration.ISOCENTER, wanted, changed_only=changed_only)
    context = {
        "sections": sections,
        "search": wanted,
        "changed_only": changed_only,
        "config_file": configuration.LAYOUT.root / "isocenter.yaml",
        "data_dir": configuration.LAYOUT.root,
    }
    return render(request, "web/settings.html", context)
