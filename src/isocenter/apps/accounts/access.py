"""What stands before every view: who is it, and may they."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol, cast
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse

from isocenter.apps.accounts.rights import Principal, Right
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.core.errors import NotAllowed

View = Callable[..., HttpResponseBase]


class _Marked(Protocol):
    required_right: Right | None
    is_public: bool
    is_own_account: bool


def principal_of(request: HttpRequest) -> Principal:
    """Who asks; the middleware has found out."""
    return cast(Principal, getattr(request, "principal", Principal()))


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
            principal_of(request).require_own_account()
        except NotAllowed as error:
            return _refused(request, {"narrow": error}, scope="all")
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
    return _refused(request, {"right": str(right)}, right=str(right))


def _refused(request: HttpRequest, shown: dict[str, Any], **lacking: Any) -> HttpResponse:
    record(
        Kind.ACCESS_REFUSED,
        actor=principal_of(request).name,
        method=request.method,
        path=request.path[:200],
        **lacking,
    )
    return render(request, "accounts/refused.html", shown, status=403)


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
