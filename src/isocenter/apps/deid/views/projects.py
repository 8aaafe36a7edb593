"""Projects: the list, the policy as a form, what it means while it is written, its history."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from isocenter.apps.accounts.access import needs, principal_of
from isocenter.apps.accounts.rights import Right
from isocenter.apps.deid import attribute_words, policy_words, queries, services
from isocenter.apps.deid import project_history as past
from isocenter.apps.deid.documents import ProjectDocument, ProjectProblems, policy_of
from isocenter.apps.deid.forms import ProjectForm, policy_fields
from isocenter.apps.deid.models import Project
from isocenter.apps.deid.views.answers import frame, sentence
from isocenter.core.errors import IsocenterError, NotFound


@needs(Right.MANAGE_PROJECTS)
@require_safe
def projects(request: HttpRequest) -> HttpResponse:
    """All projects."""
    documents = {item.name: queries.document_of(item) for item in Project.objects.all()}
    rows = [
        {"project": row, "brief": _brief(documents[row.name])}
        for row in queries.projects()
        if row.name in documents
    ]
    return render(request, "deid/projects.html", {"rows": rows})


@needs(Right.MANAGE_PROJECTS)
@require_http_methods(["GET", "HEAD", "POST"])
def project_new(request: HttpRequest) -> HttpResponse:
    """A project that is not there yet; ``copy`` names one to begin with."""
    copied = request.GET.get("copy", "")
    row = queries.project(copied) if copied and request.method != "POST" else None
    form = ProjectForm(request.POST or None, initial=policy_fields(row) if row else None)
    if request.method == "POST" and form.is_valid() and _is_made(request, form):
        name = form.cleaned_data["name"]
        messages.success(
            request, f"The project {name} is made. Name it in a step deidentify of a pipeline."
        )
        return redirect("project", name=name)
    return render(request, "deid/project.html", _meaning(form, row) | {"form": form})


@needs(Right.MANAGE_PROJECTS)
@require_http_methods(["GET", "HEAD", "POST"])
def project(request: HttpRequest, name: str) -> HttpResponse:
    """The policy of one project."""
    row = queries.project(name)
    form = ProjectForm(request.POST or None, project=row)
    if request.method == "POST" and form.is_valid() and _is_kept(request, form, name):
        messages.success(request, f"The project {name} is kept. Runs that come now go by it.")
        return redirect("project", name=name)
    return render(request, "deid/project.html", _editor(form, row) | frame(name, "policy"))


@needs(Right.MANAGE_PROJECTS)
@require_POST
def project_draft(request: HttpRequest) -> HttpResponse:
    """What a policy that is not kept yet means, and what is wrong with its rules."""
    form = ProjectForm(request.POST)
    form.is_valid()
    return render(request, "deid/_draft.html", _meaning(form, None) | {"form": form, "is_part": 1})


@needs(Right.MANAGE_PROJECTS)
@require_POST
def project_attribute(request: HttpRequest) -> HttpResponse:
    """What becomes of one attribute with a policy that is not kept yet."""
    form = ProjectForm(request.POST)
    form.is_valid()
    asked = request.POST.get("attribute", "").replace("\0", "")
    told = attribute_words.told(asked, policy_of(form.document)) if form.read else None
    return render(request, "deid/_attribute.html", {"told": told, "asked": asked.strip()})


@needs(Right.MANAGE_PROJECTS)
@require_safe
def project_history(request: HttpRequest, name: str) -> HttpResponse:
    """What the project was before, and who changed it."""
    shown = frame(name, "history")
    return render(request, "deid/history.html", shown | {"history": past.shown(name)})


@needs(Right.MANAGE_PROJECTS)
@require_POST
def project_restore(request: HttpRequest, name: str, version: int) -> HttpResponse:
    """Have a project want again what it wanted at an earlier version."""
    row = queries.project(name)
    change = past.change(name, version)
    try:
        services.change_project(
            name,
            services.read_document(change.document),
            description=change.description,
            version=row.version,
            actor=principal_of(request).name,
        )
    except IsocenterError as error:
        messages.error(request, f"It stays as it is. {sentence(error)}")
        return redirect("project-history", name=name)
    messages.success(request, f"The project {name} is as it was at version {version}.")
    return redirect("project", name=name)


@needs(Right.MANAGE_PROJECTS)
@require_POST
def project_remove(request: HttpRequest, name: str) -> HttpResponse:
    """Remove a project that no pipeline names, with its secret and its pseudonyms."""
    if request.POST.get("typed", "") != name:
        queries.project(name)
        messages.error(request, "Nothing was removed: type the project's name to remove it.")
        return redirect("project", name=name)
    try:
        services.delete_project(name, actor=principal_of(request).name)
    except NotFound:
        raise
    except IsocenterError as error:
        messages.error(request, sentence(error))
        return redirect("project", name=name)
    messages.success(request, f"The project {name} is removed.")
    return redirect("projects")


def _is_made(request: HttpRequest, form: ProjectForm) -> bool:
    given = form.cleaned_data
    try:
        services.create_project(
            given["name"],
            form.document,
            description=given["description"],
            actor=principal_of(request).name,
        )
    except ProjectProblems as problems:
        form.blame(problems)
    except IsocenterError as error:
        form.add_error(None, sentence(error))
    return not form.errors


def _is_kept(request: HttpRequest, form: ProjectForm, name: str) -> bool:
    given = form.cleaned_data
    try:
        services.change_project(
            name,
            form.document,
            description=given["description"],
            version=given["version"] or 0,
            actor=principal_of(request).name,
        )
    except NotFound:
        raise
    except ProjectProblems as problems:
        form.blame(problems)
    except services.ProjectChanged as error:
        form.was_changed = True
        form.add_error(None, sentence(error))
    except IsocenterError as error:
        form.add_error(None, sentence(error))
    return not form.errors


def _editor(form: ProjectForm, row: Project) -> dict[str, Any]:
    """The form with what it means now, and who uses the project."""
    return _meaning(form, row) | {
        "form": form,
        "pipelines": queries.pipelines_of(row.name),
        "yaml": past.as_yaml(row.description, queries.document_of(row)),
    }


def _meaning(form: ProjectForm, row: Project | None) -> dict[str, Any]:
    """The summary of what is written; none where it cannot be read."""
    if form.is_bound:
        document = form.read
    else:
        document = queries.document_of(row) if row else ProjectDocument()
    summary, problems = None, []
    try:
        summary = policy_words.summary(document) if document is not None else None
    except ProjectProblems as error:  # kept by a version that had other rules or presets
        problems = [("", key, [text]) for key, text in error.problems.items()]
    wrong = problems + [
        (form[key].label if key in form.fields else "", key, errors)
        for key, errors in form.errors.items()
        if key not in ("name", "rules")
    ]
    return {"summary": summary, "document": document, "wrong": wrong}


def _brief(document: ProjectDocument) -> str:
    try:
        return policy_words.in_brief(document)
    except ProjectProblems:
        return "It cannot be used any more: open it to see why."
