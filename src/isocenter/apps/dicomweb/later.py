"""Views whose modules cost something to import: loaded when they are first asked for."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any, cast

from django.http import HttpRequest, HttpResponseBase

from isocenter.apps.accounts.rights import Right
from isocenter.apps.dicomweb.guard import View, needs


def later(place: str, *rights: Right) -> View:
    """The view ``module:name`` of this app; the rights are asked for before it is loaded."""

    def view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return _loaded(place)(request, *args, **kwargs)

    return needs(*rights)(view)


@cache
def _loaded(place: str) -> View:
    module, _, name = place.partition(":")
    return cast(View, getattr(import_module(f"{__package__}.{module}"), name))
