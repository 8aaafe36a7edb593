"""The search form of the worklist, and its way into and out of an address.

What tells who was searched for goes into the address sealed, as ``q``; the rest can be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import QueryDict
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString

from isocenter.apps.archive.models import Study
from isocenter.apps.archive.queries import IDENTIFYING, Cursor, WorklistFilter
from isocenter.apps.web.kept import Kept
from isocenter.runtime.web.sealed import seal, unseal

_LISTS = ("states",)
_kept = Kept(200)  # of about 8 KB each
_DAY = {"type": "date", "autocomplete": "off"}
_PLAIN = {"autocomplete": "off", "dir": "auto", "spellcheck": "false"}


def _day(label: str) -> forms.DateField:
    widget = forms.DateInput(format="%Y-%m-%d", attrs=_DAY)
    return forms.DateField(label=label, required=False, widget=widget)


def _words(label: str, placeholder: str = "", length: int = 128) -> forms.CharField:
    widget = forms.TextInput(attrs={**_PLAIN, "placeholder": placeholder})
    return forms.CharField(label=label, required=False, max_length=length, widget=widget)


def _number(label: str) -> forms.IntegerField:
    return forms.IntegerField(
        label=label, required=False, min_value=0, max_value=(1 << 31) - 1, localize=False
    )


class SearchForm(forms.Form):
    """One field for each of `WorklistFilter`."""

    text = _words("Search", "Name, ID, accession, description, modality or UID")
    patient_name = _words("Patient name", "beginning of words, as in: mul ann")
    patient_id = _words("Patient ID")
    patient_birth_date = _words("Birth date", "1970, 1970-05 or 1970-05-31", 10)
    accession_number = _words("Accession number")
    study_description = _words("Description")
    modalities = _words("Modalities", "CT, RTSTRUCT")
    source = _words("Source AE title", length=16)
    study_from = _day("Study date from")
    study_to = _day("to")
    received_from = _day("Received from")
    received_to = _day("to")
    instances_min = _number("Instances at least")
    instances_max = _number("at most")
    states = forms.MultipleChoiceField(
        label="State", required=False, choices=Study.State, widget=forms.CheckboxSelectMultiple
    )
    flagged = forms.BooleanField(label="Has flags", required=False)
    failed = forms.BooleanField(label="Has failed runs or deliveries", required=False)
    sort = forms.CharField(required=False, max_length=32, widget=forms.HiddenInput)

    def hide_identity(self) -> None:
        """For those who may not see identities: they search by the rest."""
        self.fields["text"].widget.attrs["placeholder"] = "Description, modality or UID"

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        for low, high in (
            ("study_from", "study_to"),
            ("received_from", "received_to"),
            ("instances_min", "instances_max"),
        ):
            first, last = values.get(low), values.get(high)
            if first is not None and last is not None and first > last:
                self.add_error(high, "This is before the first.")
        return values

    def asked(self) -> WorklistFilter:
        """The filter of a valid form."""
        values = dict(self.cleaned_data)
        values["modalities"] = tuple(values["modalities"].replace(",", " ").split())
        values["states"] = tuple(values["states"])
        return WorklistFilter(**values)


@dataclass(frozen=True)
class Chip:
    """A condition of a search as people read it, and the address without it."""

    text: str
    url: str


def form_from(query: QueryDict) -> SearchForm:
    """The form as an address fills it."""
    data = query.copy()
    for name, value in unseal(query.get("q", "")).items():
        if name in IDENTIFYING:
            data[name] = str(value)
    return SearchForm(data)


def filters_html(form: SearchForm, asked: WorklistFilter | None, *, identified: bool) -> SafeString:
    """The fields below the search box.

    Args:
        asked: what the form says; None where it has errors.
    """

    def make() -> SafeString:
        return render_to_string(
            "web/worklist_filters.html", {"form": form, "identified": identified}
        )

    if asked is None:
        return make()
    return _kept.get((replace(asked, text="", sort=""), identified), make)


def values_of(asked: WorklistFilter) -> dict[str, Any]:
    """What the form takes for this filter: texts, lists of texts, and "on"."""
    values: dict[str, Any] = {}
    for name in (item.name for item in fields(asked)):
        value = getattr(asked, name)
        if value is None or value in ("", (), False):
            continue
        if name == "modalities":
            values[name] = " ".join(value)
        elif name in _LISTS:
            values[name] = list(value)
        elif isinstance(value, date):
            values[name] = value.isoformat()
        else:
            values[name] = "on" if value is True else str(value)
    return values


def address(asked: WorklistFilter, cursor: Cursor | None = None) -> str:
    """Where the worklist shows this."""
    return address_of(values_of(asked), cursor)


def address_of(values: Mapping[str, Any], cursor: Cursor | None = None) -> str:
    """The same for what the form takes."""
    plain = {name: value for name, value in values.items() if name not in IDENTIFYING}
    hidden = {name: value for name, value in values.items() if name in IDENTIFYING}
    if hidden:
        plain["q"] = seal(hidden)
    if cursor is not None:
        plain["at"] = seal(cursor.as_dict())
    query = urlencode(plain, doseq=True)
    return f"{reverse('worklist')}?{query}" if query else reverse("worklist")


def chips(asked: WorklistFilter) -> list[Chip]:
    """What is searched for, each with the way to drop it. The free text stands in its box."""
    values = values_of(asked)
    shown = []
    for name, value in values.items():
        if name in ("text", "sort"):
            continue
        label = str(SearchForm.base_fields[name].label)
        if name.endswith(("_to", "_max")):
            first = name.replace("_to", "_from").replace("_max", "_min")
            label = f"{SearchForm.base_fields[first].label} … {label}"
        if value == "on":
            text = label
        else:
            text = f"{label}: {', '.join(value) if isinstance(value, list) else value}"
        rest = {other: kept for other, kept in values.items() if other != name}
        shown.append(Chip(text, address_of(rest)))
    return shown
