"""Quarantine: what could not be done, and what a person does about it."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from isocenter.apps.accounts.access import needs, principal_of
from isocenter.apps.accounts.rights import Right
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record, record_view
from isocenter.apps.routing import advice, quarantine_list, queries, services
from isocenter.apps.routing.forms import QuarantineFilterForm
from isocenter.apps.routing.views.answers import page_of, sentence, tell
from isocenter.core.errors import IsocenterError, NotFound
from isocenter.runtime.web.paging import is_part, with_query
from isocenter.runtime.web.streaming import streamed

_CHUNK = 1 << 20
MAX_AT_ONCE = 200


@needs(Right.VIEW)
@require_safe
def quarantine(request: HttpRequest) -> HttpResponse:
    """Items that match the filter in the address; without one those that are open."""
    form = QuarantineFilterForm(request.GET)
    wanted = form.wanted()
    found = quarantine_list.item_slice(wanted, request.GET.get("page", ""))
    studies = quarantine_list.studies_of(found.rows)
    rows = [{"item": item, "study": studies.get(item.study_uid)} for item in found.rows]
    context = {
        "form": form,
        "rows": rows,
        "page": page_of(request, found),
        "is_filtered": not wanted.is_empty,
        "size": queries.quarantine_size(),
        "part_url": with_query(request, part="1"),
    }
    name = "_quarantine" if is_part(request) else "quarantine"
    return render(request, f"routing/{name}.html", context)


@needs(Right.VIEW)
@require_safe
def quarantine_item(request: HttpRequest, item_id: uuid.UUID) -> HttpResponse:
    """One item: why it is here, and what can be done."""
    item = queries.quarantine_item(item_id)
    study = quarantine_list.studies_of([item]).get(item.study_uid)
    if item.study_uid:
        record_view(principal_of(request), item.study_uid, "quarantine")
    files, count = quarantine_list.kept_files(item)
    is_open = item.state in ("held", "retrying")
    context = {
        "item": item,
        "study": study,
        "is_open": is_open,
        "advice": advice.for_item(item) if is_open else [],
        "files": files,
        "file_count": count,
    }
    return render(request, "routing/quarantine_item.html", context)


@needs(Right.QUARANTINE, Right.VIEW_IDENTIFIED)
@require_safe
def quarantine_export(request: HttpRequest, item_id: uuid.UUID) -> HttpResponseBase:
    """What is kept for an item as a ZIP; it names the patient."""
    item = queries.quarantine_item(item_id)
    if request.method == "HEAD":
        return HttpResponse(content_type="application/zip")
    with tempfile.TemporaryDirectory(prefix="export-", dir=settings.LAYOUT.quarantine) as folder:
        target = Path(folder, "item.zip")
        count = services.export_quarantined(item.pk, target)
        size = target.stat().st_size
        stream = target.open("rb")  # lives on without its name
    record(
        Kind.STUDY_DOWNLOADED,
        study_uid=item.study_uid,
        actor=principal_of(request).name,
        what="quarantine",
        quarantine=str(item.pk),
        files=count,
        bytes=size,
    )
    response = streamed(request, _pieces(stream), content_type="application/zip")
    response.headers["Content-Length"] = str(size)
    response.headers["Content-Disposition"] = f'attachment; filename="quarantine-{item.pk}.zip"'
    return response


@needs(Right.QUARANTINE)
@require_POST
def quarantine_retry(request: HttpRequest, item_id: uuid.UUID) -> HttpResponse:
    """Try again."""
    try:
        item = services.retry_quarantined(item_id, actor=principal_of(request).name)
    except NotFound:
        raise
    except IsocenterError as error:
        tell(request, error)
    else:
        if item.state == "held":
            messages.error(request, f"It was tried and is held again: {item.reason}")
        else:
            messages.success(request, "It is tried again.")
    return redirect("quarantine-item", item_id=item_id)


@needs(Right.QUARANTINE)
@require_POST
def quarantine_release(request: HttpRequest, item_id: uuid.UUID) -> HttpResponse:
    """Let it go."""
    try:
        services.release_quarantined(item_id, actor=principal_of(request).name)
    except NotFound:
        raise
    except IsocenterError as error:
        tell(request, error)
        return redirect("quarantine-item", item_id=item_id)
    messages.success(request, "Released: nothing more is done about it.")
    return redirect("quarantine")


@needs(Right.DELETE)
@require_POST
def quarantine_delete(request: HttpRequest, item_id: uuid.UUID) -> HttpResponse:
    """Remove it and what is kept for it."""
    try:
        services.delete_quarantined(item_id, actor=principal_of(request).name)
    except NotFound:
        raise
    except IsocenterError as error:
        tell(request, error)
        return redirect("quarantine-item", item_id=item_id)
    messages.success(request, "Deleted, with what was kept for it.")
    return redirect("quarantine")


@needs(Right.QUARANTINE)
@require_POST
def quarantine_bulk(request: HttpRequest) -> HttpResponse:
    """Retry or release those that are ticked."""
    actor = principal_of(request).name
    acts: dict[str, tuple[Callable[..., object], str]] = {
        "retry": (services.retry_quarantined, "tried again"),
        "release": (services.release_quarantined, "released"),
    }
    act, word = acts.get(request.POST.get("act", ""), (None, ""))
    ids = request.POST.getlist("item")[:MAX_AT_ONCE]
    if act is None or not ids:
        messages.error(request, "Tick some first.")
        return redirect("quarantine")
    done, problems = 0, []
    for item_id in ids:
        try:
            act(item_id, actor=actor)
            done += 1
        except IsocenterError as error:
            problems.append(f"{item_id[:8]}: {sentence(error)}")
    if done:
        messages.success(request, f"{done} {'is' if done == 1 else 'are'} {word}.")
    if problems:
        more = f" And {len(problems) - 5} more." if len(problems) > 5 else ""
        messages.error(request, f"Not done for {len(problems)}. {' '.join(problems[:5])}{more}")
    return redirect("quarantine")


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    with stream:
        while piece := stream.read(_CHUNK):
            yield piece
