"""Events in templates: ``{% load audit %}``."""

from __future__ import annotations

import json
from typing import Any

from django import template

from isocenter.apps.audit.kinds import GROUPS, Kind, text_of
from isocenter.apps.audit.models import Event

register = template.Library()

_BAD = ("FAILED", "REJECTED", "ABORTED", "DAMAGED", "REFUSED", "LOCKED", "QUARANTINED", "HELD")
_WARN = ("RETRY", "FLAGGED", "DUPLICATE", "PAUSED", "LOW", "FORCED", "CANCELLED", "DELETED")
_GROUP_OF = {str(kind): name for name, kinds in GROUPS.items() for kind in kinds}
_ICONS = {
    "Reception": "download",
    "Studies": "photo-scan",
    "Access": "eye",
    "Processing": "player-play",
    "Sending": "send",
    "Quarantine": "shield-exclamation",
    "People": "user",
    "Configuration": "settings",
}
_LONGEST = 400


@register.filter
def kind_text(event: Event) -> str:
    """What happened, for people."""
    return text_of(event.kind)


@register.filter
def kind_icon(event: Event) -> str:
    return _ICONS.get(_GROUP_OF.get(event.kind, ""), "point")


@register.filter
def kind_colour(event: Event) -> str:
    """Red for what went wrong, yellow for what somebody should know."""
    words = event.kind.split("_")
    if any(word in words for word in _BAD):
        return "red"
    if any(word in words for word in _WARN):
        return "yellow"
    return "green" if event.kind in (Kind.STUDY_COMPLETE, Kind.PROCESSING_SUCCESS) else "secondary"


@register.filter
def detail_text(event: Event) -> str:
    """What the event says, in one line: "instances 120, revision 1"."""
    text = ", ".join(
        f"{key.replace('_', ' ')} {_value(value)}"
        for key, value in event.detail.items()
        if value not in (None, "", [], {})
    )
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


@register.filter
def detail_rows(event: Event) -> list[tuple[str, str]]:
    """Each thing that the event says."""
    return [(key.replace("_", " "), _value(value)) for key, value in event.detail.items()]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str | int) for item in value):
        return ", ".join(str(item) for item in value)
    return json.dumps(value, ensure_ascii=False)
