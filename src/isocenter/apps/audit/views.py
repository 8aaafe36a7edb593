"""Pages of the events; thin."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from isocenter.apps.accounts.access import needs, principal_of
from isocenter.apps.accounts.rights import Right
from isocenter.apps.audit import queries, services
from isocenter.apps.audit.exporting import FORMATS
from isocenter.apps.audit.forms import EventFilterForm
from isocenter.apps.audit.paging import page_of
from isocenter.core.errors import NotFound


@needs(Right.VIEW_EVENTS)
@require_safe
def events(request: HttpRequest) -> HttpResponse:
    """Events that match the filter in the address, the newest first."""
    form = EventFilterForm(request.GET)
    wanted = form.wanted()
    found = queries.event_page(wanted, request.GET.get("page", ""))
    page, export = page_of(request.GET, found), request.GET.copy()
    export.pop("page", None)
    export.pop("part", None)
    context = {
        "form": form,
        "events": found.events,
        "page": page,
        "is_filtered": bool(wanted.as_dict()),
        "export": export.urlencode(),
    }
    is_part = "part" in request.GET or "HX-Request" in request.headers
    return render(request, f"audit/{'_events' if is_part else 'events'}.html", context)


@needs(Right.VIEW_EVENTS)
@require_safe
def event(request: HttpRequest, event_id: int) -> HttpResponse:
    """One event with its seal."""
    try:
        row = queries.event(event_id)
    except NotFound as error:
        raise Http404(str(error)) from None
    return render(request, "audit/event.html", {"event": row, "seal": queries.seal_of(row)})


@needs(Right.VIEW_EVENTS)
@require_safe
def export(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """The events that match, as a file."""
    form = request.GET.get("form", "jsonl")
    if form not in FORMATS:
        return HttpResponse("form is jsonl or csv", status=400, content_type="text/plain")
    if request.method == "HEAD":
        return HttpResponse(content_type=FORMATS[form])
    wanted = EventFilterForm(request.GET).wanted()
    pieces = services.export(wanted, form, actor=principal_of(request).name)
    return StreamingHttpResponse(
        _threaded(pieces),
        content_type=FORMATS[form],
        headers={
            "Content-Disposition": "attachment; "
            f'filename="isocenter-events-{timezone.now():%Y%m%d-%H%M%S}.{form}"'
        },
    )


async def _threaded(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Each piece from the database in a thread: the server would gather all of them otherwise."""
    following = sync_to_async(lambda: next(pieces, None))
    while (piece := await following()) is not None:
        yield piece
