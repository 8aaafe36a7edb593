"""Addresses of the API, below ``/api/v1/``.

Every view is marked with what it needs, for the test that walks all addresses with every role:
``required_rights`` by method (None: to be signed in), ``required_right`` of its first method, and
``own_account``: the methods that change the account of who asks.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import Any, cast

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern, URLResolver, path, re_path
from ninja.operation import Operation, PathView
from ninja.utils import replace_path_param_notation

from isocenter.apps.accounts.access import principal_of
from isocenter.apps.api import views
from isocenter.apps.api.content import is_clean
from isocenter.apps.api.errors import problem
from isocenter.apps.api.guard import Token


def _operations() -> Iterator[URLPattern]:
    for router in views.the_api()._get_bound_routers():
        for place, operations in router.path_operations.items():
            route = replace_path_param_notation(place).lstrip("/")
            name = operations.operations[0].view_func.__name__.replace("_", "-")
            yield path(route, _marked(operations.get_view(), operations), name=f"api-{name}")


def _marked(view: Any, operations: PathView) -> Any:
    """A view of the API that says what it needs, and answers as JSON whatever comes."""
    guards = {
        method: _guard(operation)
        for operation in operations.operations
        for method in operation.methods
    }
    parameters = {
        method: _parameters(operation)
        for operation in operations.operations
        for method in operation.methods
    }
    rights = {method: guard.right for method, guard in guards.items()}

    @functools.wraps(view)
    def marked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method not in rights:
            answer = problem(405, f"no {request.method} here", f"there are: {', '.join(rights)}")
            answer.headers["Allow"] = ", ".join(rights)
            return answer
        texts = (*kwargs.values(), *request.GET, *(v for vs in request.GET.lists() for v in vs[1]))
        # PostgreSQL keeps no NUL, and no name of ours has one.
        if not all(is_clean(text) for text in texts if isinstance(text, str)):
            return problem(400, "the address holds a NUL")
        if principal_of(request).is_known:
            unknown = [name for name in request.GET if name not in parameters[request.method]]
            if unknown:
                return _unknown(unknown, parameters[request.method])
        return cast(HttpResponseBase, view(request, *args, **kwargs))

    marked.__dict__.update(
        required_rights=rights,
        required_right=next(iter(rights.values())),
        own_account={method for method, guard in guards.items() if guard.is_own_account},
        is_public=False,
    )
    return marked


def _parameters(operation: Operation) -> tuple[str, ...]:
    """What an operation takes in its address behind the question mark."""
    models = (each for each in operation.models if each.__ninja_param_source__ == "query")
    return tuple(name for model in models for name in model.__ninja_flatten_map__)


def _unknown(unknown: Iterable[str], known: Iterable[str]) -> HttpResponse:
    """A parameter that is none would be no filter: the answer would be more than was asked for."""
    problems = [
        {"path": name, "error": "there is no such parameter", "hint": ""} for name in unknown
    ]
    names = ", ".join(item["path"] for item in problems)
    hint = f"there are: {', '.join(known)}" if known else "this operation takes none"
    return problem(422, f"no parameter {names}", hint, problems=problems)


def _guard(operation: Operation) -> Token:
    (guard,) = operation.auth_callbacks  # an operation without one does not start
    return cast(Token, guard)


urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.entrance, name="api"),
    path("docs", views.docs, name="api-docs"),
    path("openapi.json", views.openapi, name="api-openapi"),
    *_operations(),
    re_path(r"^(?P<path>.*)$", views.nothing, name="api-nothing"),
]
