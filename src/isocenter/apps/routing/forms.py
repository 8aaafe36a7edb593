"""Filters of the lists of runs and of the quarantine."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.utils import timezone

from isocenter.apps.routing.models import Pipeline, QuarantineItem, Route, Run
from isocenter.apps.routing.quarantine_list import QuarantineFilter
from isocenter.apps.routing.runs_list import RunFilter
from isocenter.apps.transfers import queries as transfers
from isocenter.runtime.days import end_of_day, start_of_day

AGES = (
    ("", "any"),
    ("1", "more than a day"),
    ("7", "more than a week"),
    ("30", "more than a month"),
)


def _day() -> forms.DateField:
    return forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date"}))


def _text(label: str, placeholder: str = "") -> forms.CharField:
    attributes = {"autocomplete": "off", "spellcheck": "false", "placeholder": placeholder}
    return forms.CharField(
        label=label, required=False, max_length=255, widget=forms.TextInput(attrs=attributes)
    )


def _boxes(label: str, choices: Any) -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(
        label=label, required=False, choices=choices, widget=forms.CheckboxSelectMultiple
    )


class RunFilterForm(forms.Form):
    """Days are those of UTC, as everywhere."""

    state = _boxes("State", [(value, value) for value in Run.State.values])
    pipeline = forms.ChoiceField(required=False)
    route = forms.ChoiceField(required=False)
    node = forms.ChoiceField(label="Sent to", required=False)
    study = _text("Study UID", "1.2.840.…")
    since = _day()
    until = _day()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = {
            "pipeline": Pipeline.objects.order_by("name").values_list("name", flat=True),
            "route": Route.objects.order_by("name").values_list("name", flat=True),
            "node": [node.name for node in transfers.nodes()],
        }
        for key, found in names.items():
            # What is asked for may be gone since; its runs are not.
            asked = self.data.get(key, "")
            listed = sorted({*found, *([asked] if asked else [])})
            field = self.fields[key]
            assert isinstance(field, forms.ChoiceField)
            field.choices = [("", "all"), *((name, name) for name in listed)]
        self.fields["since"].label = "From (UTC)"
        self.fields["until"].label = "To (UTC)"

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and until < since:
            self.add_error("until", "This day is before the first one.")
        return cleaned

    def wanted(self) -> RunFilter:
        """What to ask for; fields with an error do not filter."""
        self.is_valid()
        given = self.cleaned_data
        since, until = given.get("since"), given.get("until")
        return RunFilter(
            states=tuple(given.get("state") or ()),
            pipeline=given.get("pipeline") or "",
            route=given.get("route") or "",
            node=given.get("node") or "",
            study_uid=given.get("study") or "",
            since=start_of_day(since) if since else None,
            until=end_of_day(until) if until else None,
        )


class QuarantineFilterForm(forms.Form):
    """What is over is shown only where it is asked for."""

    kind = _boxes("What", [(value, value) for value in QuarantineItem.Kind.values])
    state = _boxes("State", [(value, value) for value in QuarantineItem.State.values])
    reason = _text("Reason", "a word of it")
    study = _text("Study UID", "1.2.840.…")
    age = forms.ChoiceField(required=False, choices=AGES)
    attempts = forms.IntegerField(required=False, label="Attempts, at least", min_value=1)

    def wanted(self) -> QuarantineFilter:
        """What to ask for; fields with an error do not filter."""
        self.is_valid()
        given = self.cleaned_data
        days = given.get("age")
        return QuarantineFilter(
            kinds=tuple(given.get("kind") or ()),
            states=tuple(given.get("state") or ()),
            reason=given.get("reason") or "",
            study_uid=given.get("study") or "",
            first_before=timezone.now() - timedelta(days=int(days)) if days else None,
            attempts=given.get("attempts") or 0,
        )
