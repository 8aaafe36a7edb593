"""Pipelines: the list, and the editor of one."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from isocenter.apps.accounts.access import needs, principal_of
from isocenter.apps.accounts.rights import Right
from isocenter.apps.routing import history, pipeline_draft, queries, services
from isocenter.apps.routing.documents import PipelineErrors
from isocenter.apps.routing.models import Pipeline
from isocenter.apps.routing.pipeline_draft import Draft
from isocenter.apps.routing.route_list import pipeline_rows
from isocenter.apps.routing.views.answers import sentence, tell
from isocenter.core.errors import NotFound, Refused


@needs(Right.VIEW)
@require_safe
def pipelines(request: HttpRequest) -> HttpResponse:
    """All pipelines, by name."""
    return render(request, "routing/pipelines.html", {"rows": pipeline_rows()})


@needs(Right.MANAGE_ROUTES)
@require_http_methods(["GET", "HEAD", "POST"])
def pipeline_new(request: HttpRequest) -> HttpResponse:
    """A pipeline that is not there yet; ``copy`` names one to begin with."""
    if request.method == "POST":
        draft = pipeline_draft.from_post(request.POST)
        draft.is_new = True
        if _is_kept(request, draft):
            messages.success(request, f"The pipeline {draft.name} is kept.")
            return redirect("pipeline", name=draft.name)
        return _editor(request, draft, None)
    draft = Draft()
    if copied := request.GET.get("copy"):
        draft = pipeline_draft.of(queries.pipeline(copied))
        draft.name, draft.version, draft.is_new = "", "", True
    return _editor(request, draft, None)


@needs(Right.MANAGE_ROUTES)
@require_http_methods(["GET", "HEAD", "POST"])
def pipeline(request: HttpRequest, name: str) -> HttpResponse:
    """The editor of one pipeline."""
    row = queries.pipeline(name)
    if request.method != "POST":
        return _editor(request, pipeline_draft.of(row), row)
    draft = pipeline_draft.from_post(request.POST)
    draft.name, draft.is_new = name, False
    if _is_kept(request, draft):
        messages.success(request, f"The pipeline {name} is kept. Runs that have begun keep theirs.")
        return redirect("pipeline", name=name)
    return _editor(request, draft, row)


@needs(Right.MANAGE_ROUTES)
@require_POST
def pipeline_draft_view(request: HttpRequest) -> HttpResponse:
    """The editor after a button that keeps nothing: add, move or remove a step, the other view."""
    draft = pipeline_draft.from_post(request.POST)
    what = request.POST.get("act", "")
    if what == "add":
        what = f"add:{request.POST.get('add', '')}"
    pipeline_draft.act(draft, what)
    if draft.steps or draft.view == "yaml":
        pipeline_draft.check(draft)
    return render(request, "routing/_pipeline.html", _context(draft))


@needs(Right.MANAGE_ROUTES)
@require_POST
def pipeline_remove(request: HttpRequest, name: str) -> HttpResponse:
    """Remove a pipeline that no route uses."""
    try:
        services.remove("pipeline", name, actor=principal_of(request).name)
    except NotFound:
        raise
    except Refused as error:
        tell(request, error)
        return redirect("pipeline", name=name)
    messages.success(request, f"The pipeline {name} is removed. The history can bring it back.")
    return redirect("pipelines")


def _is_kept(request: HttpRequest, draft: Draft) -> bool:
    if draft.problems:
        return False
    try:
        services.save(
            "pipeline",
            draft.document(),
            actor=principal_of(request).name,
            is_new=draft.is_new,
            expected=draft.expected,
        )
    except PipelineErrors as errors:
        pipeline_draft.blame(draft, errors.errors)
        return False
    except services.ChangedMeanwhile as error:
        draft.problems.append({"line": None, "path": "", "text": sentence(error)})
        return False
    return True


def _context(draft: Draft) -> dict[str, Any]:
    return {
        "draft": draft,
        "drafts": draft.drafts() if draft.view == "steps" else [],
        "available": pipeline_draft.available(),
    }


def _editor(request: HttpRequest, draft: Draft, row: Pipeline | None) -> HttpResponse:
    context = {
        **_context(draft),
        "pipeline": row,
        "routes": list(row.routes.order_by("name")) if row else [],
        "history": history.shown("pipeline", row.name) if row else [],
    }
    return render(request, "routing/pipeline.html", context)
