"""Routes: in the order in which they are asked; the editor of one; what they were before."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from isocenter.apps.accounts.access import needs, principal_of
from isocenter.apps.accounts.rights import Right
from isocenter.apps.routing import condition_page, history, queries, services
from isocenter.apps.routing.documents import PipelineErrors, write_yaml
from isocenter.apps.routing.import_form import ImportForm
from isocenter.apps.routing.models import Route
from isocenter.apps.routing.route_form import RouteForm
from isocenter.apps.routing.route_list import pipeline_rows, route_rows
from isocenter.apps.routing.views.answers import sentence, tell
from isocenter.core.errors import IsocenterError, NotFound
from isocenter.runtime.web.paging import is_part

_YAML = "application/yaml; charset=utf-8"


@needs(Right.VIEW)
@require_safe
def routes(request: HttpRequest) -> HttpResponse:
    """All routes with what they did lately."""
    context = {"rows": route_rows(), "pipelines": len(pipeline_rows())}
    return render(request, f"routing/{'_routes' if is_part(request) else 'routes'}.html", context)


@needs(Right.MANAGE_ROUTES)
@require_http_methods(["GET", "HEAD", "POST"])
def route_new(request: HttpRequest) -> HttpResponse:
    """A route that is not there yet."""
    initial = {"pipeline": request.GET.get("pipeline", "")}
    form = RouteForm(request.POST or None, initial=initial)
    if request.method == "POST" and _is_kept(request, form, None):
        name = form.cleaned_data["name"]
        messages.success(request, f"The route {name} is kept.")
        return redirect("route", name=name)
    return _editor(request, form, None)


@needs(Right.MANAGE_ROUTES)
@require_http_methods(["GET", "HEAD", "POST"])
def route(request: HttpRequest, name: str) -> HttpResponse:
    """The editor of one route."""
    row = queries.route(name)
    form = RouteForm(request.POST or None, route=row)
    if request.method == "POST" and _is_kept(request, form, row):
        messages.success(request, f"The route {name} is kept.")
        return redirect("route", name=name)
    return _editor(request, form, row)


@needs(Right.MANAGE_ROUTES)
@require_POST
def route_move(request: HttpRequest, name: str) -> HttpResponse:
    """Have a route asked one place earlier or later."""
    places = -1 if request.POST.get("to") == "up" else 1
    try:
        services.move(name, places, actor=principal_of(request).name)
    except NotFound:
        raise
    except IsocenterError as error:
        if is_part(request):
            return _rows(request, problem=sentence(error))
        tell(request, error)
    return _rows(request) if is_part(request) else redirect("routes")


@needs(Right.MANAGE_ROUTES)
@require_POST
def route_switch(request: HttpRequest, name: str) -> HttpResponse:
    """Switch a route on, or off with a reason."""
    is_on = request.POST.get("on") == "1"
    reason = request.POST.get("reason", "").strip()[:1000]
    try:
        services.set_enabled(name, is_on, reason=reason, actor=principal_of(request).name)
    except NotFound:
        raise
    except PipelineErrors as errors:
        reasons = " ".join(sentence(error) for error in errors.errors)
        messages.error(request, f"{name} stays off. {reasons}")
    except IsocenterError as error:
        tell(request, error)
    else:
        messages.success(request, f"The route {name} is {'on' if is_on else 'off'}.")
    return redirect("routes")


@needs(Right.MANAGE_ROUTES)
@require_POST
def route_remove(request: HttpRequest, name: str) -> HttpResponse:
    """Remove a route; its runs stay."""
    services.remove("route", name, actor=principal_of(request).name)
    messages.success(request, f"The route {name} is removed. The history can bring it back.")
    return redirect("routes")


@needs(Right.MANAGE_ROUTES)
@require_POST
def condition_check(request: HttpRequest) -> HttpResponse:
    """What is wrong with a condition, while it is written."""
    text = request.POST.get("condition", "")
    context = {"checked": condition_page.checked(text)}
    return render(request, "routing/_condition.html", context)


@needs(Right.MANAGE_ROUTES)
@require_POST
def condition_try(request: HttpRequest) -> HttpResponse:
    """Which stored studies a condition that is not kept yet would match, and why."""
    trial = condition_page.trial(
        request.POST.get("condition", ""),
        request.POST.get("search", "").strip()[:200],
        identified=principal_of(request).may(Right.VIEW_IDENTIFIED),
    )
    return render(request, "routing/_trial.html", {"trial": trial})


@needs(Right.MANAGE_ROUTES)
@require_http_methods(["GET", "HEAD", "POST"])
def routes_import(request: HttpRequest) -> HttpResponse:
    """Make and change what a YAML file names: all of it or nothing."""
    form = ImportForm(request.POST or None, request.FILES or None)
    changes: list[Any] = []
    if request.method == "POST" and form.is_valid():
        principal = principal_of(request)
        form.check(may_nodes=principal.may(Right.MANAGE_NODES))
        if form.file is not None and "apply" in request.POST:
            changes = form.keep(actor=principal.name)
    context = {"form": form, "changes": changes}
    return render(request, "routing/import.html", context)


@needs(Right.MANAGE_ROUTES)
@require_safe
def routes_export(request: HttpRequest) -> HttpResponse:
    """Routes with their pipelines as a YAML file: all, or those that are named."""
    names = request.GET.getlist("name")
    text = services.export_yaml(names or None)
    stem = names[0] if len(names) == 1 else "routes"
    headers = {"Content-Disposition": f'attachment; filename="{stem}.yaml"'}
    return HttpResponse(text, content_type=_YAML, headers=headers)


@needs(Right.MANAGE_ROUTES)
@require_safe
def routes_history(request: HttpRequest) -> HttpResponse:
    """Changes of all routes and pipelines, those that are gone too."""
    return render(request, "routing/history.html", {"history": history.shown()})


@needs(Right.MANAGE_ROUTES)
@require_POST
def routes_restore(request: HttpRequest, number: int) -> HttpResponse:
    """Bring a route or pipeline back to an earlier version."""
    row = history.change(number)
    try:
        change = services.restore(number, actor=principal_of(request).name)
    except PipelineErrors as errors:
        reasons = " ".join(sentence(error) for error in errors.errors)
        messages.error(request, f"This version cannot work any more. {reasons}")
    except IsocenterError as error:
        tell(request, error)
    else:
        text = "is that already" if change.change == "as it was" else "is as it was then"
        messages.success(request, f"The {row.kind} {row.name} {text}.")
    if any(item.name == row.name for item in _all_of(row.kind)):
        return redirect(row.kind, name=row.name)
    return redirect("routes-history")


def _all_of(kind: str) -> list[Any]:
    if kind == "route":
        return list(queries.routes())
    return [row.pipeline for row in pipeline_rows()]


def _rows(request: HttpRequest, problem: str = "") -> HttpResponse:
    return render(request, "routing/_routes.html", {"rows": route_rows(), "problem": problem})


def _is_kept(request: HttpRequest, form: RouteForm, row: Route | None) -> bool:
    if not form.is_valid():
        return False
    try:
        services.save(
            "route",
            form.document(),
            actor=principal_of(request).name,
            is_new=row is None,
            expected=form.expected,
        )
    except PipelineErrors as errors:
        form.blame(errors)
        return False
    except services.ChangedMeanwhile as error:
        form.add_error(None, sentence(error))
        return False
    return True


def _editor(request: HttpRequest, form: RouteForm, row: Route | None) -> HttpResponse:
    given = form.data.get("condition", "") if form.is_bound else form.initial.get("condition", "")
    context = {
        "form": form,
        "route": row,
        "checked": condition_page.checked(str(given)),
        "vocabulary": condition_page.vocabulary(),
        "operators": condition_page.OPERATORS,
        "examples": condition_page.EXAMPLES,
        "history": history.shown("route", row.name) if row else [],
        "activity": next((item for item in route_rows() if row and item.route.pk == row.pk), None),
        "yaml": write_yaml({"routes": [services.route_document(row)]}) if row else "",
        "was_changed": form.is_bound and "changed meanwhile" in str(form.non_field_errors()),
    }
    return render(request, "routing/route.html", context)
