"""Events in templates: ``{% load audit %}``."""

from __future__ import annotations

import json
from typing import Any

from django import template

from isocenter.apps.audit.kinds import GROUPS, Kind, text_of
from isocenter.apps.audit.models import Event

register = template.Library()

_BAD = (
    "FAILED",
    "REJECTED",
    "ABORTED",
    "DAMAGED",
    "REFUSED",
    "LOCKED",
    "QUARANTINED",
    "HELD",
    "SILENT",
)
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
    "De-identification": "user-shield",
}
_GOOD = (Kind.STUDY_COMPLETE, Kind.PROCESSING_SUCCESS, Kind.SENDING_SUCCESS, Kind.NODE_ANSWERS)
_LONGEST = 400
_NAMES = {
    "sop_uid": "instance",
    "series_uid": "series",
    "duration_s": "seconds",
    "calling_ae_title": "calling AE title",
    "called_ae_title": "called AE title",
    "ae_title": "AE title",
    "free_mb": "MB free",
    "reserve_mb": "MB reserve",
}


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
    return "green" if event.kind in _GOOD else "secondary"


@register.filter
def detail_text(event: Event) -> str:
    """What the event says, in one line: "instances 120, revision 1"."""
    text = ", ".join(
        f"{_name(key)} {_value(value)}"
        for key, value in event.detail.items()
        if value not in (None, "", [], {})
    )
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


@register.filter
def detail_rows(event: Event) -> list[tuple[str, str]]:
    """Each thing that the event says."""
    return [(_name(key), _value(value)) for key, value in event.detail.items()]


def _name(key: str) -> str:
    return _NAMES.get(key, key.replace("_", " "))


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str | int) for item in value):
        return ", ".join(str(item) for item in value)
    return json.dumps(value, ensure_ascii=False)
