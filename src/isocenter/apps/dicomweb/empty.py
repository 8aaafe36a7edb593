"""Answers without a body, which have no media type either."""

from __future__ import annotations

from collections.abc import Mapping

from django.http import HttpResponse


def empty_answer(status: int, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """204 or 304."""
    response = HttpResponse(status=status, headers=dict(headers or {}))
    del response.headers["Content-Type"]
    return response
