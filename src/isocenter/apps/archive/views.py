"""The study page and what can be done there; thin."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotModified
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from isocenter.apps.accounts.access import needs, principal_of, refused
from isocenter.apps.accounts.rights import Right
from isocenter.apps.archive import downloads, queries, services, study_page, thumbnails
from isocenter.apps.archive.forms import RunForm
from isocenter.apps.archive.models import Study
from isocenter.apps.archive.study_stamp import stamp_of
from isocenter.apps.archive.study_zip import ZipOptions, no_password_in
from isocenter.apps.archive.zip_answer import zip_answer
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record, record_view
from isocenter.core.errors import IsocenterError, NotFound
from isocenter.runtime.web.streaming import streamed

_PICTURE_CACHE = "private, max-age=86400"
_REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
)


@needs(Right.VIEW)
@require_safe
def study(request: HttpRequest, study_uid: str) -> HttpResponse:
    """Everything about one study; with ``part`` only what changed since ``have``."""
    if "part" in request.GET:
        return _changed(request, study_uid)
    row = queries.study(study_uid)
    record_view(principal_of(request), study_uid)  # first: the page shows this event
    stamp = _stamp(request, row)  # before the parts: what changes meanwhile is shown next time
    parts = _parts(request, row)
    if thumbnails.is_lacking(row):
        thumbnails.want(study_uid)
    return render(
        request,
        "archive/study.html",
        {
            "study": row,
            "parts": {name: _part(row, name, data) for name, data in parts.items()},
            "stamp": stamp,
            "series_count": len(parts["series"]),
            "form": RunForm(),
        },
    )


def _parts(request: HttpRequest, row: Study) -> dict[str, Any]:
    principal = principal_of(request)
    identified = principal.may(Right.VIEW_IDENTIFIED)
    runs = study_page.runs_of(row)
    parts = {
        "state": study_page.state_of(row, identified=identified),
        "series": study_page.series_of(row, identified=identified),
        "runs": runs,
        # What is made and sent is made and sent by runs.
        "outputs": study_page.outputs_of(row) if runs else {},
        "deliveries": study_page.deliveries_of(row) if runs else [],
    }
    if principal.may(Right.VIEW_EVENTS):  # they say who looked
        parts["events"] = study_page.events_of(row)
    return parts


def _part(row: Study, name: str, data: Any) -> dict[str, Any]:
    return {"name": name, "digest": study_page.digest_of(data), "data": data}


def _stamp(request: HttpRequest, row: Study) -> str:
    return stamp_of(row, with_events=principal_of(request).may(Right.VIEW_EVENTS))


def _changed(request: HttpRequest, study_uid: str) -> HttpResponse:
    """Those parts that the page does not have as they are; 204 where it has all."""
    try:
        row = queries.study(study_uid)
    except NotFound:  # deleted under the reader's eyes
        return HttpResponse(status=204, headers={"HX-Redirect": reverse("worklist")})
    have, seen, stamp = set(request.GET.getlist("have")), request.GET.get("seen"), None
    if seen is not None and seen == (stamp := _stamp(request, row)):
        return HttpResponse(status=204)
    made = []
    for name, data in _parts(request, row).items():
        part = _part(row, name, data)
        if f"{name}:{part['digest']}" not in have:
            context = {"study": row, "part": part, "is_update": True}
            made.append(render_to_string("archive/_part.html", context, request))
    if seen is not None:
        context = {"stamp": stamp, "is_update": True}
        made.append(render_to_string("archive/_stamp.html", context))
    return HttpResponse("".join(made)) if made else HttpResponse(status=204)


@needs(Right.VIEW)
@require_safe
def series_thumbnail(request: HttpRequest, study_uid: str, series_uid: str) -> HttpResponse:
    """A series' small picture."""
    identified = principal_of(request).may(Right.VIEW_IDENTIFIED)
    found = thumbnails.thumbnail(study_uid, series_uid, identified=identified)
    if found.state == "hidden":
        return refused(request, Right.VIEW_IDENTIFIED)
    tag = f'"{found.version}"'
    if found.path is not None and request.headers.get("If-None-Match") == tag:
        return HttpResponseNotModified(headers={"ETag": tag, "Cache-Control": _PICTURE_CACHE})
    try:
        picture = found.path.read_bytes() if found.path is not None else None
    except OSError:
        picture = None
    if picture is None:
        return HttpResponse(found.reason or found.state, status=404, content_type="text/plain")
    headers = {"ETag": tag, "Cache-Control": _PICTURE_CACHE}
    return HttpResponse(picture, content_type="image/png", headers=headers)


@needs(Right.RUN)
@require_POST
def study_complete(request: HttpRequest, study_uid: str) -> HttpResponse:
    """Complete a study by hand."""
    try:
        revision = services.force_complete(study_uid, actor=principal_of(request).name)
    except IsocenterError as error:
        return _back(request, study_uid, error)
    messages.success(request, f"Complete: revision {revision.number}. Routes are asked now.")
    return redirect("study", study_uid)


@needs(Right.RUN)
@require_POST
def study_run(request: HttpRequest, study_uid: str) -> HttpResponse:
    """Start a route or a pipeline on the newest revision."""
    from isocenter.apps.routing.services import require_start, start

    form = RunForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose a route or a pipeline.")
        return redirect("study", study_uid)
    principal = principal_of(request)
    route, pipeline = form.route_name, form.pipeline_name
    try:
        require_start(principal, study_uid, route_name=route, pipeline_name=pipeline)
        run = start(study_uid, route_name=route, pipeline_name=pipeline, actor=principal.name)
    except IsocenterError as error:
        return _back(request, study_uid, error)
    messages.success(request, f"The run of {run.pipeline_name} is queued.")
    return redirect("study", study_uid)


@needs(Right.DELETE)
@require_POST
def study_protect(request: HttpRequest, study_uid: str) -> HttpResponse:
    """Protect a study from deletion, or end that."""
    on = request.POST.get("on") == "1"
    services.protect(study_uid, on, actor=principal_of(request).name)
    messages.success(request, "The study is protected." if on else "Its protection has ended.")
    return redirect("study", study_uid)


@needs(Right.DELETE)
@require_POST
def study_delete(request: HttpRequest, study_uid: str) -> HttpResponse:
    """Delete a study and all that was made of it."""
    try:
        counts = services.delete_study(study_uid, actor=principal_of(request).name)
    except IsocenterError as error:
        return _back(request, study_uid, error)
    messages.success(request, f"The study is deleted, with {counts['instances']} instances.")
    return redirect("worklist")


@needs(Right.DOWNLOAD, Right.VIEW_IDENTIFIED)
@require_http_methods(["GET", "HEAD", "POST"])
def study_download(request: HttpRequest, study_uid: str, series_uid: str = "") -> HttpResponseBase:
    """A study or a series as a ZIP of its files as they are; they name the patient.

    A password comes in a form's body only: addresses are written down on their way.
    """
    no_password_in(request.GET)
    asked = request.POST if request.method == "POST" else request.GET
    options = ZipOptions(
        dicomdir=asked.get("dicomdir", "") in ("1", "true", "on"),
        password=request.POST.get("password", ""),
    )
    return zip_answer(request, study_uid, series_uid, options)


@needs(Right.VIEW)
@require_safe
def study_output(request: HttpRequest, study_uid: str, output_id: int) -> HttpResponseBase:
    """What a run made: a picture for those who may look, a file for those who may download."""
    principal = principal_of(request)
    found = downloads.output(study_uid, output_id)
    for right in found.rights:
        if not principal.may(right):
            return refused(request, right)
    if found.is_picture:
        if request.headers.get("If-None-Match") == found.tag:
            return HttpResponseNotModified(headers={"ETag": found.tag})
        headers = {"ETag": found.tag, "Cache-Control": _PICTURE_CACHE}
        content = found.path.read_bytes()
        return HttpResponse(content, content_type=found.content_type, headers=headers)
    record(
        Kind.STUDY_DOWNLOADED,
        study_uid=study_uid,
        actor=principal.name,
        what=found.kind,
        bytes=found.size,
    )
    response = streamed(request, downloads.pieces(found.path), content_type=found.content_type)
    response.headers["Content-Length"] = str(found.size)
    response.headers["Content-Disposition"] = downloads.disposition(found.path.name)
    return response


@needs(Right.VIEW)
@require_safe
def study_previews(request: HttpRequest, study_uid: str, run_id: uuid.UUID) -> HttpResponse:
    """All pictures that a run made."""
    row = queries.study(study_uid)
    pictures = study_page.previews_of(row, run_id)
    record_view(principal_of(request), study_uid, "previews")
    context = {"study": row, "pictures": pictures, "run_id": run_id}
    return render(request, "archive/previews.html", context)


@needs(Right.VIEW)
@require_safe
def study_report(
    request: HttpRequest, study_uid: str, run_id: uuid.UUID, suffix: str
) -> HttpResponse:
    """A run's report; it names no patient."""
    content, content_type = downloads.report(study_uid, run_id, suffix)
    record_view(principal_of(request), study_uid, "report")
    headers = {"Content-Security-Policy": _REPORT_POLICY}
    return HttpResponse(content, content_type=content_type, headers=headers)


@needs(Right.RUN)
@require_POST
def delivery_retry(request: HttpRequest, study_uid: str, delivery_id: int) -> HttpResponse:
    """Send again what a node did not take."""
    try:
        node = downloads.retry(study_uid, delivery_id, principal_of(request))
    except IsocenterError as error:
        return _back(request, study_uid, error)
    messages.success(request, f"The delivery to {node} is queued again.")
    return redirect("study", study_uid)


def _back(request: HttpRequest, study_uid: str, error: IsocenterError) -> HttpResponse:
    """To the page, with why it was not done."""
    text = str(error.args[0]) if error.args else "This cannot be done"
    hint = f" ({error.hint})" if error.hint and not error.hint.startswith("isocenter") else ""
    messages.error(request, f"{text[:1].upper()}{text[1:]}.{hint}")
    return redirect("study", study_uid)
