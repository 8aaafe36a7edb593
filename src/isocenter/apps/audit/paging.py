"""A page of events as ``web/paging.html`` shows it."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import QueryDict

from isocenter.apps.audit.queries import EventPage


@dataclass(frozen=True)
class ShownPage:
    """Links to the pages beside this one, with the filter."""

    text: str
    previous_url: str
    next_url: str

    @property
    def has_others(self) -> bool:
        return bool(self.previous_url or self.next_url)


def page_of(address: QueryDict, found: EventPage) -> ShownPage:
    """The newest events are on the first page: the next one has older ones."""
    count = len(found.events)
    return ShownPage(
        text=f"{count} event{'' if count == 1 else 's'} on this page" if count else "",
        previous_url=_url(address, found.newer),
        next_url=_url(address, found.older),
    )


def _url(address: QueryDict, cursor: str) -> str:
    if not cursor:
        return ""
    changed = address.copy()
    changed["page"] = cursor
    changed.pop("part", None)
    return f"?{changed.urlencode()}"
