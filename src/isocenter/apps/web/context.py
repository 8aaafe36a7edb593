"""What every page knows."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from isocenter import __version__
from isocenter.apps.accounts.access import principal_of


def layout(request: HttpRequest) -> dict[str, Any]:
    """For ``layout.html``: who is signed in, what they may, and the version."""
    principal = principal_of(request)
    return {
        "principal": principal,
        "may": {str(right).replace("-", "_"): True for right in principal.rights},
        "version": __version__,
    }
