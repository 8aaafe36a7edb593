"""Worklist, system and settings pages."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from isocenter.apps.accounts.access import needs
from isocenter.apps.accounts.rights import Right


@needs(Right.VIEW)
@require_safe
def worklist(request: HttpRequest) -> HttpResponse:
    """Studies that match the filter in the address."""
    return render(request, "web/worklist.html", {})
