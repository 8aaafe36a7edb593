"""Pages of long lists, as ``web/paging.html`` shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest


@dataclass(frozen=True)
class Page:
    """Some rows of a list, and the way to those before and after.

    Attributes:
        previous_url: with the filter of this page; empty where there is nothing before.
        text: for people, such as ``1 to 50``.
    """

    items: Sequence[Any]
    previous_url: str = ""
    next_url: str = ""
    text: str = ""

    @property
    def has_others(self) -> bool:
        return bool(self.previous_url or self.next_url)


def is_part(request: HttpRequest) -> bool:
    """Whether only the moving part of a page is wanted."""
    return "part" in request.GET or "HX-Request" in request.headers


def with_query(request: HttpRequest, **changes: str | None) -> str:
    """The address of this page with some parameters changed; None takes one away."""
    query = request.GET.copy()
    query.pop("part", None)
    for name, value in changes.items():
        if value is None:
            query.pop(name, None)
        else:
            query[name] = value
    text = query.urlencode()
    return f"{request.path}?{text}" if text else request.path
