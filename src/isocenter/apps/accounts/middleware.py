"""Finds out who asks: a token in the request, else a session.

Somebody whose password was given to them sees nothing before they have chosen their own.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse

from isocenter.apps.accounts.queries import principal_of_user
from isocenter.apps.accounts.rights import Principal
from isocenter.apps.accounts.services import principal_of_token
from isocenter.apps.accounts.sessions import keep_alive

# Addresses that answer programs: as JSON, and never with another page.
_OF_DICOMWEB = ("/dicom-web/", "/wado")
_FOR_PROGRAMS = ("/api/", *_OF_DICOMWEB)
_OF_TOKENS = "make a new one: isocenter token create"
_OF_BASIC = "a token goes in the password's place, never a password; isocenter token create"


class Authentication:
    """Sets ``request.principal``. A token that is wrong is an error, never nobody.

    Stands behind Django's sessions and before everything that asks for rights.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        token = token_in(request)
        if token is None:
            request.principal = _of_session(request)  # type: ignore[attr-defined]
            return _to_password(request) or self.get_response(request)
        principal = principal_of_token(token)
        if principal is None:
            return JsonResponse(
                {
                    "error": "this token is not valid, has expired or was revoked",
                    "hint": _OF_BASIC if _is_basic(request) else _OF_TOKENS,
                },
                status=401,
                headers={"WWW-Authenticate": "Bearer"},
            )
        request.principal = principal  # type: ignore[attr-defined]
        if not _may_come_from_a_page(request):
            request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
        return self.get_response(request)


def token_in(request: HttpRequest) -> str | None:
    """The token of ``Authorization: Bearer …`` or ``Token …``; None where there is neither.

    Some DICOMweb clients can only send a name and a password (``Basic``): there a token may stand
    in the password's place, whatever the name. A person's password is none: it would be tried
    with every request, past the limits of the sign-in.
    """
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    if _is_basic(request):
        return _password_in(value)
    return value.strip() if kind.lower() in ("bearer", "token") else None


def _is_basic(request: HttpRequest) -> bool:
    """Whether a name and a password were sent where a token may stand in a password's place."""
    kind = request.headers.get("Authorization", "").partition(" ")[0].lower()
    return kind == "basic" and request.path.startswith(_OF_DICOMWEB)


def _password_in(text: str) -> str:
    """The password of ``Basic`` (RFC 7617); empty, which is no token, where there is none."""
    try:
        return b64decode(text.strip(), validate=True).decode().partition(":")[2].strip()
    except ValueError:
        return ""


def _may_come_from_a_page(request: HttpRequest) -> bool:
    """Whether a browser may have added the header by itself for a page of another site.

    It does so for ``Basic`` alone, where somebody has typed a name and a password.
    """
    if not request.headers["Authorization"].lower().startswith("basic"):
        return False
    return "Origin" in request.headers or "Sec-Fetch-Site" in request.headers


def _of_session(request: HttpRequest) -> Principal:
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return Principal()
    keep_alive(request)
    return principal_of_user(user)


def _to_password(request: HttpRequest) -> HttpResponseBase | None:
    """Where somebody has to go who must choose a password; None for all others."""
    if not getattr(getattr(request, "user", None), "must_change_password", False):
        return None
    page = reverse("password")
    if request.path in (page, reverse("sign-out")) or request.path.startswith("/health/"):
        return None
    if request.path.startswith(_FOR_PROGRAMS):
        return JsonResponse(
            {"error": "this account has to choose a password first", "hint": f"open {page}"},
            status=403,
        )
    if request.headers.get("HX-Request"):
        return HttpResponse(status=204, headers={"HX-Redirect": page})
    if request.method in ("GET", "HEAD"):
        page += "?" + urlencode({"next": request.get_full_path()})
    return redirect(page)
