"""Who may do what here: asked before anything of the request is read.

Views are written as ``@needs(Right.VIEW)``; where methods of one address differ, `by_method`
puts them together. The marks on the views are read by the test that walks all addresses with
every role. Whatever a view raises is answered as `errors` says; nothing is ever redirected.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware

from isocenter.apps.accounts.access import principal_of
from isocenter.apps.accounts.rights import Right
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.apps.dicomweb.empty import empty_answer
from isocenter.apps.dicomweb.errors import BadRequest, NotSignedIn, answer_to, problem
from isocenter.core.errors import NotAllowed

View = Callable[..., HttpResponseBase]
_SAFE = ("GET", "HEAD", "OPTIONS")


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


def require(request: HttpRequest, *rights: Right) -> None:
    """
    Raises:
        NotSignedIn: nobody asks.
        NotAllowed: they lack one of the rights, or a session's unsafe request proves no origin.
    """
    principal = principal_of(request)
    if not principal.is_known:
        raise NotSignedIn("this needs a token", hint="send Authorization: Bearer TOKEN")
    if request.method not in _SAFE and _is_forged(request):
        raise NotAllowed(
            "this request of a session has no CSRF token",
            hint="send X-CSRFToken, or use a token instead of the session",
        )
    for right in rights:
        if not principal.may(right):
            record(
                Kind.ACCESS_REFUSED,
                actor=principal.name,
                method=request.method,
                path=request.path[:200],
                right=str(right),
            )
            principal.require(right)


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


def _is_forged(request: HttpRequest) -> bool:
    """Whether a session's request lacks the proof of its origin; tokens need none."""
    check = CsrfViewMiddleware(lambda _: HttpResponse())
    check.process_request(request)
    return check.process_view(request, lambda *_: HttpResponse(), (), {}) is not None


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
