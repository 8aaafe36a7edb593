"""The entries of the navigation: those pages that whoever looks may open."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import resolve, reverse

from isocenter.apps.accounts.rights import Principal


@dataclass(frozen=True)
class Entry:
    """A link of the navigation, or a menu of links; ``otherwise`` is for who may not open it."""

    text: str
    icon: str
    name: str = ""  # of the URL
    entries: tuple[Entry, ...] = ()
    otherwise: Entry | None = None


@dataclass(frozen=True)
class Link:
    """An entry as it is shown."""

    text: str
    icon: str
    url: str = ""
    is_here: bool = False
    links: tuple[Link, ...] = ()


ENTRIES = (
    Entry("Studies", "photo-scan", "worklist"),
    Entry("Uploads", "upload", "uploads"),
    Entry("Runs", "player-play", "runs"),
    Entry("Quarantine", "shield-exclamation", "quarantine"),
    Entry(
        "Routing",
        "route",
        entries=(
            Entry("Routes", "route", "routes"),
            Entry("Pipelines", "stack-2", "pipelines"),
            Entry("Nodes", "server-2", "nodes"),
            Entry(
                "Projects",
                "shield-lock",
                "projects",
                otherwise=Entry("Who is it?", "shield-lock", "look-ups"),
            ),
        ),
    ),
    Entry(
        "Administration",
        "settings",
        entries=(
            Entry("People", "users", "people"),
            Entry("Groups", "users-group", "groups"),
            Entry("Events", "list-details", "events"),
            Entry("System", "heartbeat", "system"),
            Entry("Settings", "adjustments", "settings"),
        ),
    ),
)


def navigation(request: HttpRequest, principal: Principal) -> list[Link]:
    """What this principal may open; a menu with nothing in it is left out."""
    if not principal.is_known:
        return []
    return [
        link
        for entry in ENTRIES
        if (link := _link(entry, request.path, principal)) and (link.url or link.links)
    ]


def _link(entry: Entry, path: str, principal: Principal) -> Link | None:
    if entry.entries:
        found = (_link(inner, path, principal) for inner in entry.entries)
        links = tuple(link for link in found if link is not None)
        return Link(entry.text, entry.icon, "", any(link.is_here for link in links), links)
    url = reverse(entry.name)
    needed = getattr(resolve(url).func, "required_right", None)
    if needed is not None and not principal.may(needed):
        return _link(entry.otherwise, path, principal) if entry.otherwise else None
    is_here = path == url if url == "/" else path.startswith(url)
    if entry.name == "worklist":
        is_here = is_here or path.startswith("/studies/")
    elif entry.name == "look-ups":
        is_here = path.startswith(reverse("projects"))
    return Link(entry.text, entry.icon, url, is_here)
