"""Groups, for those who manage people."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from isocenter.apps.accounts import queries, services
from isocenter.apps.accounts.access import needs, principal_of
from isocenter.apps.accounts.forms import GroupForm
from isocenter.apps.accounts.models import Group
from isocenter.apps.accounts.rights import Right
from isocenter.apps.transfers.queries import nodes
from isocenter.core.errors import IsocenterError


@needs(Right.MANAGE_PEOPLE)
@require_safe
def groups(request: HttpRequest) -> HttpResponse:
    """All groups."""
    found = queries.groups().prefetch_related("node_grants__node")
    return render(request, "accounts/groups.html", {"groups": found})


@needs(Right.MANAGE_PEOPLE)
@require_http_methods(["GET", "HEAD", "POST"])
def group_new(request: HttpRequest) -> HttpResponse:
    """A new group."""
    form = GroupForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            made = services.create_group(
                given["name"],
                by=principal_of(request),
                description=given["description"],
                rights=given["rights"],
            )
        except IsocenterError as error:
            form.add_error("name", str(error))
        else:
            messages.success(request, f"{made.name} is made. Add people and nodes now.")
            return redirect("group", name=made.name)
    return render(request, "accounts/group_new.html", {"form": form})


@needs(Right.MANAGE_PEOPLE)
@require_http_methods(["GET", "HEAD", "POST"])
def group(request: HttpRequest, name: str) -> HttpResponse:
    """One group: name, rights, members, nodes."""
    found = queries.group(name)
    if request.method != "POST":
        return _page(request, found, GroupForm.of(found))
    form = GroupForm(request.POST)
    if form.is_valid():
        given = form.cleaned_data
        try:
            found = services.change_group(
                name,
                by=principal_of(request),
                new_name=given["name"],
                description=given["description"],
                rights=given["rights"],
            )
        except IsocenterError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, f"{found.name} is changed.")
            return redirect("group", name=found.name)
    return _page(request, found, form)


@needs(Right.MANAGE_PEOPLE)
@require_POST
def group_members(request: HttpRequest, name: str) -> HttpResponse:
    """Take somebody in, or out."""
    by, username = principal_of(request), request.POST.get("username", "").strip()
    act = services.remove_member if request.POST.get("act") == "remove" else services.add_member
    return _do(request, name, lambda: act(name, username, by=by))


@needs(Right.MANAGE_PEOPLE)
@require_POST
def group_nodes(request: HttpRequest, name: str) -> HttpResponse:
    """What members may do with a node."""
    by, node = principal_of(request), request.POST.get("node", "")
    source, destination = "source" in request.POST, "destination" in request.POST
    return _do(
        request,
        name,
        lambda: services.grant_node(name, node, by=by, source=source, destination=destination),
    )


@needs(Right.MANAGE_PEOPLE)
@require_POST
def group_remove(request: HttpRequest, name: str) -> HttpResponse:
    """Remove a group."""
    queries.group(name)
    try:
        services.remove_group(name, by=principal_of(request))
    except IsocenterError as error:
        messages.error(request, str(error))
        return redirect("group", name=name)
    messages.success(request, f"The group {name} is removed.")
    return redirect("groups")


def _do(request: HttpRequest, name: str, act: Callable[[], object]) -> HttpResponse:
    queries.group(name)  # 404 where there is none
    try:
        act()
    except IsocenterError as error:
        messages.error(request, str(error))
    return redirect("group", name=name)


def _page(request: HttpRequest, found: Group, form: GroupForm) -> HttpResponse:
    grants = found.node_grants.select_related("node").order_by("node__name")
    granted = {grant.node.name for grant in grants}
    members = found.members.order_by("username")
    context = {
        "group": found,
        "form": form,
        "members": members,
        "others": queries.people().exclude(pk__in=members).order_by("username")[:2000],
        "grants": grants,
        "nodes": [node.name for node in nodes() if node.name not in granted],
    }
    return render(request, "accounts/group.html", context)
