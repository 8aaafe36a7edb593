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

View = Callable[..., HttpResponseBase]


class _Marked(Protocol):
    required_right: Right | None
    is_public: bool


def principal_of(request: HttpRequest) -> Principal:
    """Who asks; the middleware has found out."""
    return cast(Principal, getattr(request, "principal", Principal()))


def public(view: View) -> View:
    """A view for everybody."""
    return _mark(view, None, is_public=True)


def signed_in(view: View) -> View:
    """A view for everybody who is signed in, whatever their rights."""
    return _mark(_guard(view, None), None, is_public=False)


def needs(right: Right) -> Callable[[View], View]:
    """A view for those who have a right."""

    def decorate(view: View) -> View:
        return _mark(_guard(view, right), right, is_public=False)

    return decorate


def _guard(view: View, right: Right | None) -> View:
    @functools.wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        principal = principal_of(request)
        if not principal.is_known:
            return _to_sign_in(request)
        if right is not None and not principal.may(right):
            return refused(request, right)
        return view(request, *args, **kwargs)

    return guarded


def refused(request: HttpRequest, right: Right) -> HttpResponse:
    """The page that says what is lacking (403), and an event."""
    record(
        Kind.ACCESS_REFUSED,
        actor=principal_of(request).name,
        right=str(right),
        method=request.method,
        path=request.path[:200],
    )
    return render(request, "accounts/refused.html", {"right": str(right)}, status=403)


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
    return view
