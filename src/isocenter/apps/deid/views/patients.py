"""Who is called what in a project: the pseudonyms, look-ups, lists in and out, the secret.

Patient IDs are posted and answered, never kept: not in an address, a message or an event.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from isocenter.apps.accounts.access import needs, principal_of
from isocenter.apps.accounts.rights import Right
from isocenter.apps.deid import queries, services
from isocenter.apps.deid.forms import ImportMapForm, LookUpForm
from isocenter.apps.deid.views.answers import frame, sentence
from isocenter.core.errors import IsocenterError, NotFound
from isocenter.runtime.web.paging import Page, with_query

PAGE = 100
_CSV = "text/csv; charset=utf-8"


@needs(Right.MANAGE_PROJECTS)
@require_safe
def project_patients(request: HttpRequest, name: str) -> HttpResponse:
    """The pseudonyms of a project; whose they are is another right."""
    return _page(request, name, ImportMapForm())


@needs(Right.REIDENTIFY)
@require_safe
def look_ups(request: HttpRequest) -> HttpResponse:
    """The projects in which somebody can be looked up, for who may do that and no more."""
    return render(request, "deid/look_ups.html", {"rows": queries.projects()})


@needs(Right.REIDENTIFY)
@require_http_methods(["GET", "HEAD", "POST"])
def project_look_up(request: HttpRequest, name: str) -> HttpResponse:
    """Who is behind a pseudonym, or which pseudonym somebody has; an event says who asked."""
    project = queries.project(name)
    form = LookUpForm(request.POST if request.method == "POST" else None)
    context: dict[str, Any] = {"project": project, "form": form}
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            context["found"] = services.look_up(
                name,
                pseudonym=given["pseudonym"] or None,
                patient_id=given["patient_id"] or None,
                issuer=given["issuer"],
                actor=principal_of(request).name,
            )
            context["was_asked"] = True
        except NotFound:
            raise
        except IsocenterError as error:
            form.add_error(None, sentence(error))
    template = "_look_up" if "HX-Request" in request.headers else "look_up"
    return render(request, f"deid/{template}.html", context)


@needs(Right.MANAGE_PROJECTS)
@require_http_methods(["GET", "HEAD", "POST"])
def project_import(request: HttpRequest, name: str) -> HttpResponse:
    """Take a list of pseudonyms in: all of it or nothing."""
    if request.method != "POST":
        queries.project(name)
        return redirect("project-patients", name=name)
    form = ImportMapForm(request.POST, request.FILES)
    if not form.is_valid():
        return _page(request, name, form)
    who, content = principal_of(request), form.cleaned_data["upload"].read()
    may_reidentify = who.may(Right.REIDENTIFY)
    take = services.import_netrt_map if form.is_netrt else services.import_map
    try:
        counts = take(name, content, actor=who.name, may_reidentify=may_reidentify)
    except NotFound:
        raise
    except IsocenterError as error:
        for line in sentence(error).splitlines():
            form.add_error("upload", line)
        return _page(request, name, form)
    said = f"{counts.entries} {'entry' if counts.entries == 1 else 'entries'} taken in"
    if may_reidentify:
        said = f"{counts.added} new, {counts.known} known before"
    messages.success(request, f"The list is taken in: {said}.")
    return redirect("project-patients", name=name)


@needs(Right.REIDENTIFY)
@require_POST
def project_export(request: HttpRequest, name: str) -> HttpResponse:
    """The whole map as CSV: every patient with their pseudonym."""
    try:
        text = services.export_map(name, actor=principal_of(request).name)
    except NotFound:
        raise
    except IsocenterError as error:
        return _not_taken(request, name, error)
    headers = {"Content-Disposition": f'attachment; filename="{name}-pseudonyms.csv"'}
    return HttpResponse(text, content_type=_CSV, headers=headers)


@needs(Right.REIDENTIFY)
@require_POST
def project_secret(request: HttpRequest, name: str) -> HttpResponse:
    """The secret as a file that ``isocenter deidentify --secret-file`` reads."""
    try:
        secret = services.secret_of(name, actor=principal_of(request).name)
    except NotFound:
        raise
    except IsocenterError as error:
        return _not_taken(request, name, error)
    text = (
        f"# Secret of the project {name}. Keep it as you keep the originals.\n{secret.key.hex()}\n"
    )
    headers = {"Content-Disposition": f'attachment; filename="{name}.key"'}
    return HttpResponse(text, content_type="text/plain; charset=utf-8", headers=headers)


def _not_taken(request: HttpRequest, name: str, error: IsocenterError) -> HttpResponse:
    """Such as keys that are gone: said on the page of the patients, or where one may look up."""
    messages.error(request, f"Nothing was taken out. {sentence(error)}")
    may_manage = principal_of(request).may(Right.MANAGE_PROJECTS)
    return redirect("project-patients" if may_manage else "project-look-up", name=name)


def _page(request: HttpRequest, name: str, form: ImportMapForm) -> HttpResponse:
    shown = frame(name, "patients")
    after = request.GET.get("page", "")
    cursor = int(after) if after.isascii() and after.isdigit() and len(after) < 19 else None
    found = queries.entries(name, cursor, PAGE + 1)
    rows = found[:PAGE]
    page = Page(
        items=rows,
        previous_url=with_query(request, page=None) if cursor is not None else "",
        next_url=with_query(request, page=str(rows[-1].number)) if len(found) > PAGE else "",
        text=f"{len(rows)} on this page" if rows else "",
    )
    context = shown | {"page": page, "form": form, "look_up": LookUpForm()}
    return render(request, "deid/patients.html", context)
