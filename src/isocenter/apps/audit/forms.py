"""The filter of the events page."""

from __future__ import annotations

from django import forms

from isocenter.apps.audit.kinds import GROUPS, text_of
from isocenter.apps.audit.queries import EventFilter
from isocenter.runtime.days import end_of_day, start_of_day

_GROUP = "group:"


def _choices() -> list[tuple[str, str | list[tuple[str, str]]]]:
    every: list[tuple[str, str]] = [(f"{_GROUP}{name}", f"{name}: all") for name in GROUPS]
    single: list[tuple[str, str | list[tuple[str, str]]]] = [
        (name, [(str(kind), text_of(kind)) for kind in kinds]) for name, kinds in GROUPS.items()
    ]
    return [("", "everything"), ("All of one kind of work", every), *single]


class EventFilterForm(forms.Form):
    """Days are those of UTC, as everywhere."""

    study = forms.CharField(
        label="Study UID",
        required=False,
        max_length=255,
        widget=forms.TextInput(attrs={"placeholder": "1.2.840.…", "autocomplete": "off"}),
    )
    kind = forms.ChoiceField(label="What", required=False, choices=_choices)
    actor = forms.CharField(
        label="Who",
        required=False,
        max_length=255,
        widget=forms.TextInput(attrs={"placeholder": "person or AE title", "autocomplete": "off"}),
    )
    since = forms.DateField(
        label="From (UTC)", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        label="To (UTC)", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )

    def clean(self) -> dict[str, object]:
        cleaned = super().clean() or {}
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and until < since:
            self.add_error("until", "This day is before the first one.")
        return cleaned

    def wanted(self) -> EventFilter:
        """What to ask for; fields with an error do not filter."""
        self.is_valid()
        given = self.cleaned_data
        chosen = given.get("kind") or ""
        kinds: tuple[str, ...] = (chosen,) if chosen else ()
        if chosen.startswith(_GROUP):
            kinds = tuple(str(kind) for kind in GROUPS[chosen.removeprefix(_GROUP)])
        since, until = given.get("since"), given.get("until")
        return EventFilter(
            study_uid=given.get("study") or "",
            kinds=kinds,
            actor=given.get("actor") or "",
            since=start_of_day(since) if since else None,
            until=end_of_day(until) if until else None,
        )
