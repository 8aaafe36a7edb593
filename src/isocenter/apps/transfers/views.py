"""Pages of the nodes; thin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from isocenter.apps.accounts.access import needs, principal_of
from isocenter.apps.accounts.rights import Right
from isocenter.apps.transfers import queries, services
from isocenter.apps.transfers.forms import NodeForm
from isocenter.apps.transfers.models import Node
from isocenter.core.errors import ConfigurationError


@needs(Right.MANAGE_NODES)
@require_safe
def nodes(request: HttpRequest) -> HttpResponse:
    """All nodes, how they are, and what waits for them."""
    waiting = queries.deliveries()
    context = {"nodes": [_shown(item, waiting) for item in queries.nodes()]}
    is_part = "part" in request.GET or "HX-Request" in request.headers
    return render(request, f"transfers/{'_nodes' if is_part else 'nodes'}.html", context)


@needs(Right.MANAGE_NODES)
@require_http_methods(["GET", "HEAD", "POST"])
def node_new(request: HttpRequest) -> HttpResponse:
    """A new node."""
    form = NodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        name = form.cleaned_data["name"]
        services.set_node(name, form.values(), actor=principal_of(request).name, is_new=True)
        messages.success(request, f"{name} is kept. Test it now.")
        return redirect("node", name=name)
    return render(request, "transfers/node.html", {"form": form, "is_new": True})


@needs(Right.MANAGE_NODES)
@require_http_methods(["GET", "HEAD", "POST"])
def node(request: HttpRequest, name: str) -> HttpResponse:
    """One node: how it is, and what can be changed."""
    row = queries.node(name)
    form = NodeForm(request.POST or None, node=row)
    if request.method == "POST" and form.is_valid():
        services.set_node(name, form.values(), actor=principal_of(request).name, is_new=False)
        messages.success(request, f"{name} is kept.")
        return redirect("node", name=name)
    context = {"form": form, **_shown(row, queries.deliveries()), "routes": queries.routes_to(name)}
    return render(request, "transfers/node.html", context)


@needs(Right.MANAGE_NODES)
@require_POST
def node_test(request: HttpRequest, name: str) -> HttpResponse:
    """Ask a node now; the card with the answer for htmx, else its page."""
    services.test_node(name)
    if "HX-Request" not in request.headers:
        return redirect("node", name=name)
    context = _shown(queries.node(name), queries.deliveries())
    template = "_row" if request.POST.get("place") == "row" else "_health"
    return render(request, f"transfers/{template}.html", context)


@needs(Right.MANAGE_NODES)
@require_POST
def node_remove(request: HttpRequest, name: str) -> HttpResponse:
    """Remove a node; refused with the routes that name it."""
    try:
        services.remove_node(name, actor=principal_of(request).name)
    except ConfigurationError as error:
        messages.error(request, f"{name} was not removed: {error}")
        return redirect("node", name=name)
    messages.success(request, f"{name} is removed.")
    return redirect("nodes")


def _shown(row: Node, waiting: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    return {
        "node": row,
        "health": queries.health_of(row),
        "deliveries": waiting.get(row.name, {"open": 0, "failed": 0}),
    }
