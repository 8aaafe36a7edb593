"""What stands before every view: who is it, and may they.

The decorators here answer with a page. What answers programs asks `require`, which raises.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol, cast
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware
from django.shortcuts import redirect, render
from django.urls import reverse

from isocenter.apps.accounts.rights import Principal, Right
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.core.errors import NotAllowed

View = Callable[..., HttpResponseBase]
_SAFE = ("GET", "HEAD", "OPTIONS")


class NotSignedIn(NotAllowed):
    """Nobody is signed in, and no token was sent (401)."""


class _Marked(Protocol):
    required_right: Right | None
    is_public: bool
    is_own_account: bool


def principal_of(request: HttpRequest) -> Principal:
    """Who asks; the middleware has found out."""
    return cast(Principal, getattr(request, "principal", Principal()))


def require(request: HttpRequest, *rights: Right) -> Principal:
    """Who asks, once it is clear that they may.

    Raises:
        NotSignedIn: nobody asks.
        NotAllowed: they lack one of the rights, or a session's unsafe request proves no origin.
    """
    principal = principal_of(request)
    if not principal.is_known:
        raise NotSignedIn("this needs a token", hint="send Authorization: Bearer TOKEN")
    if request.method not in _SAFE:
        _require_origin(request)
    for right in rights:
        if not principal.may(right):
            _record_refusal(request, right=str(right))
            principal.require(right)
    return principal


def require_own_account(request: HttpRequest) -> None:
    """Before the account of who asks is changed.

    Raises:
        NotAllowed: a token without the scope ``all``.
    """
    try:
        principal_of(request).require_own_account()
    except NotAllowed:
        _record_refusal(request, scope="all")
        raise


def public(view: View) -> View:
    """A view for everybody."""
    return _mark(view, None, is_public=True)


def signed_in(view: View) -> View:
    """A view for everybody who is signed in, whatever their rights."""
    return _mark(_guard(view), None, is_public=False)


def own_account(view: View) -> View:
    """A view that changes the account of who asks: in a session, or with a token that has the
    scope ``all``."""

    @functools.wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            require_own_account(request)
        except NotAllowed as error:
            return _refusal(request, narrow=error)
        return view(request, *args, **kwargs)

    marked = signed_in(guarded)
    cast(_Marked, marked).is_own_account = True
    return marked


def needs(right: Right, *besides: Right) -> Callable[[View], View]:
    """A view for those who have a right, or all of several."""

    def decorate(view: View) -> View:
        return _mark(_guard(view, right, *besides), right, is_public=False)

    return decorate


def _guard(view: View, *rights: Right) -> View:
    @functools.wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        principal = principal_of(request)
        if not principal.is_known:
            return _to_sign_in(request)
        for right in rights:
            if not principal.may(right):
                return refused(request, right)
        return view(request, *args, **kwargs)

    return guarded


def refused(request: HttpRequest, right: Right) -> HttpResponse:
    """The page that says what is lacking (403), and an event."""
    _record_refusal(request, right=str(right))
    return _refusal(request, right=str(right))


def _refusal(request: HttpRequest, **shown: Any) -> HttpResponse:
    return render(request, "accounts/refused.html", shown, status=403)


def _record_refusal(request: HttpRequest, **lacking: Any) -> None:
    record(
        Kind.ACCESS_REFUSED,
        actor=principal_of(request).name,
        method=request.method,
        path=request.path[:200],
        **lacking,
    )


class _Csrf(CsrfViewMiddleware):
    """Says why a request is refused, in place of a page."""

    def _reject(self, request: HttpRequest, reason: str) -> HttpResponse:
        return HttpResponse(reason, status=403)


def _require_origin(request: HttpRequest) -> None:
    """A session's request proves its origin; tokens need not: no browser adds one by itself.

    Raises:
        NotAllowed: it does not.
    """
    check = _Csrf(lambda _: HttpResponse())
    check.process_request(request)
    refusal = check.process_view(request, lambda *_: HttpResponse(), (), {})
    if refusal is None:
        return
    if refusal.content.startswith((b"Origin checking", b"Referer checking")):
        raise NotAllowed(
            "this request comes from another origin, or names none",
            hint="from another origin only a token works: Authorization: Bearer TOKEN; behind a "
            "proxy, web.public_url has to be the address of the pages",
        )
    raise NotAllowed(
        "this request of a session has no valid CSRF token",
        hint="send X-CSRFToken, or use a token instead of the session",
    )


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    sign_in = reverse("sign-in")
    if request.method in ("GET", "HEAD"):
        sign_in += "?" + urlencode({"next": request.get_full_path()})
    if request.headers.get("HX-Request"):  # a part of a page whose session has ended
        return HttpResponse(status=204, headers={"HX-Redirect": sign_in})
    return redirect(sign_in)


def _mark(view: View, right: Right | None, *, is_public: bool) -> View:
    marked = cast(_Marked, view)
    marked.required_right = right
    marked.is_public = is_public
    marked.is_own_account = False
    return view
