"""The worklist and its saved searches."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from isocenter.apps.accounts.access import needs, principal_of
from isocenter.apps.accounts.rights import Principal, Right
from isocenter.apps.archive.queries import IDENTIFYING, WorklistFilter
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.apps.web import services
from isocenter.apps.web.queries import groups_of, saved_filters
from isocenter.apps.web.search import SearchForm, address, chips, filters_html, form_from, values_of
from isocenter.apps.web.worklist_page import first_page, refreshed, saved_with_urls, sending_help
from isocenter.core.errors import IsocenterError
from isocenter.runtime.web.paging import is_part


@needs(Right.VIEW)
@require_http_methods(["GET", "HEAD", "POST"])
def worklist(request: HttpRequest) -> HttpResponse:
    """Studies that match the filter in the address. A search is sent by POST, so that nothing of
    whom it is for stands in an address that can be read."""
    principal = principal_of(request)
    if request.method == "POST":
        form = SearchForm(request.POST)
        if form.is_valid():
            return redirect(address(form.asked()))
        return _page(request, principal, form, None)
    form = form_from(request.GET)
    if not form.is_valid():
        return _page(request, principal, form, None)
    asked = form.asked()
    if is_part(request):
        changed = refreshed(request, principal, asked)
        if changed is None:
            return HttpResponse(status=204)
        return render(request, "web/worklist_rows.html", changed)
    if IDENTIFYING & set(request.GET):
        return redirect(address(asked))
    return _page(request, principal, form, asked)


def _page(
    request: HttpRequest, principal: Principal, form: SearchForm, asked: WorklistFilter | None
) -> HttpResponse:
    identified = principal.may(Right.VIEW_IDENTIFIED)
    context = {
        "form": form,
        "identified": identified,
        "saved": saved_with_urls(saved_filters(principal), principal),
        "groups": groups_of(principal),
    }
    if not identified:
        form.hide_identity()
    context["filters_html"] = filters_html(form, asked, identified=identified)
    if asked is None:
        context |= {"has_errors": True}
        return render(request, "web/worklist.html", context, status=400)
    if not identified:
        asked = asked.without_identity()
    found, shown = first_page(request, principal, asked)
    if "at" not in request.GET and IDENTIFYING & set(asked.searched()):
        # Which fields, never what was searched for: that would be an identity.
        fields = ", ".join(asked.searched())
        record(Kind.STUDY_QUERIED, actor=principal.name, fields=fields, found=found.total)
    searched = [name for name in asked.searched() if name != "text"]
    context |= shown | {
        "asked": asked,
        "is_all": asked.is_empty,
        "is_open": bool(searched) and request.GET.get("open") == "1",
        "chips": chips(asked),
        "sending": sending_help(request),
    }
    return render(request, "web/worklist.html", context)


@needs(Right.VIEW)
@require_POST
def save_filter(request: HttpRequest) -> HttpResponse:
    """Keep the search that the form holds under a name."""
    form = SearchForm(request.POST)
    if not form.is_valid():
        messages.error(request, "This search has an error; it was not saved.")
        return redirect("worklist")
    asked = form.asked()
    try:
        row = services.save_filter(
            principal_of(request),
            request.POST.get("name", ""),
            values_of(asked),
            group=request.POST.get("group", ""),
        )
    except IsocenterError as error:
        messages.error(request, f"Not saved: {error}.")
    else:
        messages.success(request, f"Saved as “{row.name}”.")
    return redirect(address(asked))


@needs(Right.VIEW)
@require_POST
def delete_filter(request: HttpRequest, key: int) -> HttpResponse:
    """Forget a saved search."""
    services.delete_filter(principal_of(request), key)
    messages.success(request, "The saved search was deleted.")
    return redirect("worklist")
