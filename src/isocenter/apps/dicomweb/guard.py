"""Who may do what here: asked before anything of the request is read.

Views are written as ``@needs(Right.VIEW)``; where methods of one address differ, `by_method`
puts them together; inside of a view, `require` asks for more. The marks on the views are read by
the test that walks all addresses with every role. Whatever a view raises is answered as `errors`
says; nothing is ever redirected.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

from django.http import HttpRequest, HttpResponseBase

from isocenter.apps.accounts.access import principal_of, require
from isocenter.apps.accounts.rights import Right
from isocenter.apps.dicomweb.empty import empty_answer
from isocenter.apps.dicomweb.errors import BadRequest, answer_to, problem

View = Callable[..., HttpResponseBase]


def needs(*rights: Right) -> Callable[[View], View]:
    """A view for those who have all of these rights, in a session or with a token."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                require(request, *rights)
                _check_texts(request, kwargs)
                return view(request, *args, **kwargs)
            except Exception as error:
                return answer_to(request, error)

        return _mark(guarded, {"GET": rights[0]}, is_public=False)

    return decorate


def by_method(**views: View) -> View:
    """One address: ``by_method(GET=retrieve, DELETE=delete)``; HEAD goes where GET goes."""
    rights = {method: cast(Any, view).required_right for method, view in views.items()}
    allowed = ", ".join([*views, *(["HEAD"] if "GET" in views else []), "OPTIONS"])

    def dispatch(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        method = "GET" if request.method == "HEAD" else request.method or ""
        if method == "OPTIONS" and method not in views:
            return empty_answer(204, {"Allow": allowed})
        if method not in views:
            return problem(405, f"no {request.method} here", f"there is: {allowed}", Allow=allowed)
        return views[method](request, *args, **kwargs)

    return _mark(dispatch, rights, is_public=False)


def public(view: View) -> View:
    """A view for everybody."""
    return _mark(view, {"GET": None}, is_public=True)


def may(request: HttpRequest, right: Right) -> bool:
    """Whether who asks has a right."""
    return principal_of(request).may(right)


def is_identified(request: HttpRequest) -> bool:
    """Whether who asks may know whose studies these are."""
    return may(request, Right.VIEW_IDENTIFIED)


def _check_texts(request: HttpRequest, places: dict[str, Any]) -> None:
    texts = (*places.values(), *request.GET, *(v for _, vs in request.GET.lists() for v in vs))
    for text in filter(lambda each: isinstance(each, str), texts):
        if "\x00" in text or (not text.isascii() and _is_broken(text)):
            raise BadRequest("the address holds a NUL, or text that is not UTF-8")


def _is_broken(text: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" or letter == "\ufffd" for letter in text)


def _mark(view: View, rights: dict[str, Right | None], *, is_public: bool) -> View:
    view.__dict__.update(
        required_rights=rights,
        required_right=next(iter(rights.values())),
        own_account=frozenset(),
        is_own_account=False,
        is_public=is_public,
        csrf_exempt=True,  # `require` asks for it, and answers as JSON
    )
    return view
