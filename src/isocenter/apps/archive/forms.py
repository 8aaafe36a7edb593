"""Forms of the study page."""

from __future__ import annotations

from typing import Any

from django import forms

_ROUTE, _PIPELINE = "route", "pipeline"


class RunForm(forms.Form):
    """What to run: a route (its pipeline, then its destinations), or a pipeline alone."""

    what = forms.ChoiceField(label="Route or pipeline")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        from isocenter.apps.routing.models import Pipeline
        from isocenter.apps.routing.queries import routes

        super().__init__(*args, **kwargs)
        pipelines = list(Pipeline.objects.order_by("name").values_list("name", flat=True))
        groups = [
            ("Routes: run and send", [(f"{_ROUTE}:{item.name}", _told(item)) for item in routes()]),
            ("Pipelines: run only", [(f"{_PIPELINE}:{name}", name) for name in pipelines]),
        ]
        self.fields["what"].choices = [group for group in groups if group[1]]  # type: ignore[attr-defined]

    @property
    def has_choices(self) -> bool:
        return bool(self.fields["what"].choices)  # type: ignore[attr-defined]

    @property
    def route_name(self) -> str:
        return self._chosen(_ROUTE)

    @property
    def pipeline_name(self) -> str:
        return self._chosen(_PIPELINE)

    def _chosen(self, wanted: str) -> str:
        kind, _, name = self.cleaned_data["what"].partition(":")
        return name if kind == wanted else ""


def _told(route: Any) -> str:
    destinations = ", ".join(route.destinations) or "sends nowhere"
    arrow = f"{route.name}: {route.pipeline.name} → {destinations}"
    return arrow if route.enabled else f"{arrow} (disabled)"
