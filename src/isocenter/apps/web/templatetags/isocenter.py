"""What templates of every app use: ``{% load isocenter %}``."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import Any

from django import template
from django.forms import BoundField, CheckboxInput, CheckboxSelectMultiple, RadioSelect, Select
from django.forms.boundfield import BoundWidget
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from isocenter.apps.accounts.rights import Right
from isocenter.apps.web import wording
from isocenter.apps.web.viewer import viewer

register = template.Library()

HIDDEN = "hidden"
_COLOURS = {
    "green": ("complete", "done", "sent", "resolved", "active", "ok", "enabled", "well", "matched"),
    "blue": ("receiving", "running", "sending", "retrying", "uploading", "working"),
    "yellow": ("waiting", "queued", "pending", "paused", "unknown"),
    "red": ("failed", "held", "refused", "failing", "locked", "unreachable", "rejected"),
}
_COLOUR_OF = {state: colour for colour, states in _COLOURS.items() for state in states}
_NAMES = ("patient_name", "referring_physician_name")
_CHECKS = (CheckboxInput, CheckboxSelectMultiple, RadioSelect)


@register.simple_tag
def state_badge(state: Any, text: str = "") -> SafeString:
    """A state as a coloured badge; the word says it too."""
    return _badge(str(state), text)


@lru_cache(maxsize=500)
def _badge(name: str, text: str) -> SafeString:
    colour = _COLOUR_OF.get(name, "secondary")
    return format_html(
        '<span class="badge bg-{}-lt state" data-state="{}">{}</span>', colour, name, text or name
    )


@register.simple_tag
def moment(value: dt.datetime | str | None, none: str = "") -> SafeString | str:
    """A time as "3 min ago"; the browser adds its own zone's full time as the title."""
    if not value:
        return none
    try:
        given = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return str(value)
    aware = (given if given.tzinfo else given.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    written = aware.isoformat(timespec="seconds")
    ago = wording.ago(aware, timezone.now())
    # Digits and our own words: there is nothing to escape.
    return mark_safe(  # noqa: S308
        f'<time datetime="{written}" title="{written[:10]} {written[11:19]} UTC">{ago}</time>'
    )


@register.simple_tag
@lru_cache(maxsize=500)
def icon(name: str, extra: str = "") -> SafeString:
    """An icon of the Tabler font, not read out."""
    return format_html('<i class="ti ti-{} {}" aria-hidden="true"></i>', name, extra)


@register.filter
def identity(row: Any, attribute: str) -> str:
    """An attribute that tells who the patient is, for those who may see it; else "hidden"."""
    value = row.get(attribute, "") if isinstance(row, dict) else getattr(row, attribute, "")
    text = str(value or "")
    if not viewer().may(Right.VIEW_IDENTIFIED):
        return HIDDEN if text else ""
    if attribute in _NAMES:
        return wording.person_name(text)
    return wording.dicom_date(text) if attribute.endswith("_date") else text


@register.filter
def dicom_date(text: str) -> str:
    return wording.dicom_date(str(text or ""))


@register.filter
def dicom_time(text: str) -> str:
    return wording.dicom_time(str(text or ""))


@register.filter(name="bytes")
def bytes_(count: float | None) -> str:
    return wording.size(count)


@register.filter
def duration(value: dt.timedelta | float | None) -> str:
    return wording.duration(value)


@register.filter
def control(field: BoundField) -> SafeString:
    """A form's control with the classes of the layout and what it has to say to readers."""
    widget = field.field.widget
    kind = "form-select" if isinstance(widget, Select) else "form-control"
    if isinstance(widget, _CHECKS):
        kind = "form-check-input"
    classes = f"{widget.attrs.get('class', '')} {kind}{' is-invalid' if field.errors else ''}"
    attributes: dict[str, Any] = {"class": classes.strip()}
    if field.errors:
        attributes |= {"aria-invalid": "true", "aria-describedby": f"{field.auto_id}-error"}
    return field.as_widget(attrs=attributes)


@register.filter
def choice_control(choice: BoundWidget) -> SafeString:
    """One box of a list of boxes, with the class of the layout."""
    choice.data["attrs"]["class"] = "form-check-input"
    return choice.tag()


@register.filter
def is_check(field: BoundField) -> bool:
    """Whether the label stands behind the control."""
    return isinstance(field.field.widget, CheckboxInput)


@register.filter
def is_choice_list(field: BoundField) -> bool:
    """Whether the control is a list of boxes to tick."""
    return isinstance(field.field.widget, CheckboxSelectMultiple | RadioSelect)
