"""What every page knows."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from isocenter import __version__
from isocenter.apps.accounts.access import principal_of
from isocenter.apps.web.navigation import navigation
from isocenter.apps.web.notices import notices


def layout(request: HttpRequest) -> dict[str, Any]:
    """For ``layout.html``: who is signed in, what they may, the version, where they can go."""
    principal = principal_of(request)
    return {
        "principal": principal,
        "may": {str(right).replace("-", "_"): True for right in principal.rights},
        "version": __version__,
        # Lazy: a part of a page that is refreshed shows neither.
        "navigation": SimpleLazyObject(lambda: navigation(request, principal)),
        "notices": SimpleLazyObject(notices),
    }
