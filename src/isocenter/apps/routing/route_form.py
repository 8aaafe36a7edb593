"""The form of a route; what is wrong with it stands at its field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django import forms
from django.core.validators import RegexValidator
from pydantic import ValidationError

from isocenter.apps.routing.conditions import check
from isocenter.apps.routing.definitions import route_document
from isocenter.apps.routing.documents import NAME_PATTERN, NAME_RULE, PipelineErrors
from isocenter.apps.routing.models import Pipeline, Route
from isocenter.apps.routing.pipelines import RESERVED, RETURN_TO_SENDER
from isocenter.apps.transfers import queries as transfers
from isocenter.core.errors import ConditionError, PipelineError
from isocenter.runtime.settings import CompletionRule

_TIMEOUTS = (("", "as everywhere"), ("process", "run with what is there"), ("hold", "hold it"))
_COMPLETION = ("debounce_s", "min_instances", "force_complete_s", "on_timeout")


def _line(**attributes: str) -> dict[str, str]:
    return {"autocomplete": "off", "spellcheck": "false", **attributes}


class RouteForm(forms.Form):
    """Everything that a route has; it is checked as YAML is, by the services."""

    version = forms.CharField(required=False, widget=forms.HiddenInput)
    name = forms.CharField(
        max_length=64,
        validators=[RegexValidator(NAME_PATTERN, NAME_RULE.capitalize())],
        help_text="Letters, digits, - and _. Runs and events call it so; it stays.",
        widget=forms.TextInput(attrs=_line(dir="ltr")),
    )
    description = forms.CharField(
        required=False,
        max_length=1000,
        help_text="What it is for, for whoever comes after you.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "dir": "auto"}),
    )
    enabled = forms.BooleanField(required=False, initial=True, label="Switched on")
    disabled_reason = forms.CharField(
        required=False,
        max_length=1000,
        label="Why it is off",
        widget=forms.TextInput(attrs={"autocomplete": "off", "dir": "auto"}),
    )
    priority = forms.IntegerField(
        initial=0,
        min_value=-1000,
        max_value=1000,
        help_text="Routes with a higher one are asked first, and their runs go first.",
    )
    condition = forms.CharField(
        required=False,
        max_length=4000,
        help_text="Which studies. Empty: every study.",
        widget=forms.Textarea(
            attrs=_line(rows="3", dir="ltr", **{"class": "mono", "autocapitalize": "off"})
        ),
    )
    pipeline = forms.ChoiceField(help_text="What is done with them.")
    destinations = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Where results go. A deliver step that names nodes of its own uses those.",
    )
    deidentified_only = forms.BooleanField(
        required=False,
        label="Nothing identified leaves by this route",
        help_text="Then it can only be switched on with a pipeline that de-identifies before "
        "everything that it delivers.",
    )
    debounce_s = forms.FloatField(required=False, label="Quiet for (s)")
    min_instances = forms.IntegerField(required=False, label="At least instances")
    force_complete_s = forms.FloatField(required=False, label="Wait at most (s)")
    on_timeout = forms.ChoiceField(required=False, label="After that", choices=_TIMEOUTS)

    def __init__(self, *args: Any, route: Route | None = None, **kwargs: Any) -> None:
        if route is not None:
            kwargs["initial"] = _initial(route)
        super().__init__(*args, **kwargs)
        self._set_choices(route)
        if route is not None:
            self.fields["name"].disabled = True
            self.fields["name"].help_text = ""

    def clean_condition(self) -> str:
        """Said together with what is wrong elsewhere, before the services are asked."""
        text: str = self.cleaned_data["condition"].strip()
        try:
            if text:
                check(text)
        except ConditionError as error:
            raise forms.ValidationError(str(error)) from error
        return text

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name in RESERVED:
            raise forms.ValidationError("A page has this name")
        return name

    def clean(self) -> dict[str, Any]:
        """The completion rule too is checked at once, as the services would."""
        cleaned = super().clean() or {}
        given = {key: cleaned.get(key) for key in _COMPLETION}
        try:
            CompletionRule.model_validate({k: v for k, v in given.items() if v not in (None, "")})
        except ValidationError as errors:
            for error in errors.errors():
                self.add_error(str(error["loc"][0]), error["msg"])
        return cleaned

    def _set_choices(self, route: Route | None) -> None:
        nodes = [RETURN_TO_SENDER, *(node.name for node in transfers.nodes())]
        gone = [name for name in (route.destinations if route else ()) if name not in nodes]
        destinations, pipeline = self.fields["destinations"], self.fields["pipeline"]
        assert isinstance(destinations, forms.MultipleChoiceField)
        assert isinstance(pipeline, forms.ChoiceField)
        destinations.choices = [(name, _node_label(name)) for name in nodes] + [
            (name, f"{name} (there is no such node any more)") for name in gone
        ]
        names = Pipeline.objects.order_by("name").values_list("name", flat=True)
        pipeline.choices = [("", "choose one"), *((name, name) for name in names)]

    @property
    def expected(self) -> datetime | None:
        """When what the person looked at was last changed."""
        try:
            return datetime.fromisoformat(self.cleaned_data.get("version") or "")
        except ValueError:
            return None

    def document(self) -> dict[str, Any]:
        """The route as YAML has it."""
        given = self.cleaned_data
        completion = {key: given.get(key) for key in _COMPLETION}
        return {
            "name": given["name"],
            "description": given.get("description", ""),
            "enabled": given["enabled"],
            "disabled_reason": "" if given["enabled"] else given.get("disabled_reason", ""),
            "priority": given["priority"],
            "condition": given.get("condition", "").strip(),
            "pipeline": given["pipeline"],
            "destinations": list(given.get("destinations", ())),
            "deidentified_only": given["deidentified_only"],
            "completion": {k: value for k, value in completion.items() if value not in (None, "")},
        }

    def blame(self, errors: PipelineErrors) -> None:
        """Put what the services found at its fields."""
        for error in errors.errors:
            self.add_error(_field_of(error, self.fields), _text(error))


def _initial(route: Route) -> dict[str, Any]:
    return {
        **route_document(route),
        "disabled_reason": route.disabled_reason,
        "deidentified_only": route.deidentified_only,
        "version": route.changed_at.isoformat(),
        **{key: route.completion.get(key) for key in _COMPLETION},
    }


def _node_label(name: str) -> str:
    return f"{name} (whoever sent the study)" if name == RETURN_TO_SENDER else name


def _field_of(error: PipelineError, fields: Mapping[str, Any] | Iterable[str]) -> str | None:
    parts = error.path.replace("[", ".").split(".")
    if parts[0] == "completion" and len(parts) > 1:
        parts = parts[1:]
    return parts[0] if parts[0] in fields else None


def _text(error: PipelineError) -> str:
    text = str(error.args[0]).removeprefix(f"{error.path}: ")
    hint = f" ({error.hint})" if error.hint else ""
    return f"{text[:1].upper()}{text[1:]}{hint}"
