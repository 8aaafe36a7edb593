"""People, for those who manage them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from isocenter.apps.accounts import queries, services
from isocenter.apps.accounts.access import needs, principal_of
from isocenter.apps.accounts.forms import ROLES, NewPersonForm, PersonForm, TokenForm
from isocenter.apps.accounts.models import User
from isocenter.apps.accounts.rights import Right, rights_for
from isocenter.apps.accounts.wording import RIGHT_TEXTS, ROLE_TEXTS
from isocenter.core.errors import IsocenterError

PER_PAGE = 50


@needs(Right.MANAGE_PEOPLE)
@require_safe
def people(request: HttpRequest) -> HttpResponse:
    """Everybody, those who wait for a yes first."""
    asked = {key: request.GET.get(key, "").strip()[:200] for key in ("q", "state", "role")}
    text = asked["q"].replace("\x00", "")
    found = queries.people(text, state=asked["state"], role=asked["role"])
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "people": [(user, queries.state_of(user)) for user in page],
        "page": _paging(request, page),
        "asked": asked,
        "is_filtered": any(asked.values()),
        "roles": list(ROLE_TEXTS),
        "states": ("active", "waiting", "disabled"),
        "waiting": queries.waiting_for_approval(),
    }
    return render(request, "accounts/people.html", context)


@needs(Right.MANAGE_PEOPLE)
@require_http_methods(["GET", "HEAD", "POST"])
def person_new(request: HttpRequest) -> HttpResponse:
    """A new person; their first password is shown once."""
    form = NewPersonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            made = services.create_user(
                given["username"],
                by=principal_of(request),
                role=given["role"],
                full_name=given["full_name"],
                email=given["email"],
            )
        except IsocenterError as error:
            form.add_error("username", str(error))
        else:
            if made.password:
                return _told_once(request, made.user.username, made.password)
            messages.success(request, f"{made.user.username} is made. Make it a token now.")
            return redirect("person", username=made.user.username)
    return render(request, "accounts/person_new.html", {"form": form})


@needs(Right.MANAGE_PEOPLE)
@require_http_methods(["GET", "HEAD", "POST"])
def person(request: HttpRequest, username: str) -> HttpResponse:
    """One person, and what can be changed."""
    user = queries.person(username)
    if request.method != "POST":
        return _page(request, user, PersonForm.of(user))
    form = PersonForm(request.POST)
    if form.is_valid():
        try:
            services.change_user(username, by=principal_of(request), **form.cleaned_data)
        except IsocenterError as error:
            form.add_error("role", str(error))
        else:
            messages.success(request, f"{user.username} is changed.")
            return redirect("person", username=user.username)
    return _page(request, user, form)


@needs(Right.MANAGE_PEOPLE)
@require_POST
def person_password(request: HttpRequest, username: str) -> HttpResponse:
    """A new first password, shown once."""
    try:
        made = services.set_password(username, by=principal_of(request))
    except IsocenterError as error:
        return _back(request, username, error)
    return _told_once(request, queries.person(username).username, made)


@needs(Right.MANAGE_PEOPLE)
@require_POST
def person_active(request: HttpRequest, username: str) -> HttpResponse:
    """Disable, or enable again."""
    is_active = request.POST.get("active") == "yes"
    return _do(
        request,
        username,
        lambda: services.set_active(username, is_active, by=principal_of(request)),
        "is enabled" if is_active else "is disabled and signed out",
    )


@needs(Right.MANAGE_PEOPLE)
@require_POST
def person_unlock(request: HttpRequest, username: str) -> HttpResponse:
    """Forget wrong passwords."""
    return _do(
        request,
        username,
        lambda: services.unlock(username, by=principal_of(request)),
        "is unlocked",
    )


@needs(Right.MANAGE_PEOPLE)
@require_POST
def person_approve(request: HttpRequest, username: str) -> HttpResponse:
    """Say yes, with a role, or no to somebody who registered."""
    by = principal_of(request)
    if request.POST.get("answer") == "no":
        try:
            services.refuse_registration(username, by=by)
        except IsocenterError as error:
            return _back(request, username, error)
        messages.success(request, f"{username} is refused; the account is gone.")
        return redirect("people")
    role = request.POST.get("role") or None
    return _do(
        request, username, lambda: services.approve(username, by=by, role=role), "is approved"
    )


@needs(Right.MANAGE_PEOPLE)
@require_POST
def person_token(request: HttpRequest, username: str) -> HttpResponse:
    """A token for a service, shown once."""
    user, by = queries.person(username), principal_of(request)
    form = TokenForm(request.POST, rights=_rights(user))
    if not form.is_valid():
        return _page(request, user, PersonForm.of(user), form)
    given = form.cleaned_data
    try:
        made = services.create_token(
            user,
            given["scopes"],
            name=given["name"],
            expires_at=services.expiry_after(int(given["days"])),
            by=by,
        )
    except IsocenterError as error:
        form.add_error(None, str(error))
        return _page(request, user, PersonForm.of(user), form)
    context = {
        "heading": f"New token of {user.username}",
        "what": f"The token “{made.row.name}”",
        "secret": made.text,
        "how": "Programs send it as the header Authorization: Bearer TOKEN.",
        "back": "person",
        "back_to": user.username,
    }
    return render(request, "accounts/told_once.html", context)


@needs(Right.MANAGE_PEOPLE)
@require_POST
def person_token_revoke(request: HttpRequest, username: str, prefix: str) -> HttpResponse:
    """End somebody's token."""
    by, owner = principal_of(request), queries.person(username).username
    return _do(
        request,
        username,
        lambda: services.revoke_token(prefix, by=by, owner=owner),
        f"has lost the token {prefix}…",
    )


def _page(
    request: HttpRequest, user: User, form: PersonForm, token_form: TokenForm | None = None
) -> HttpResponse:
    rights = _rights(user)
    is_service = user.role == User.Role.SERVICE
    context: dict[str, Any] = {
        "person": user,
        "state": queries.state_of(user),
        "locked_until": queries.locked_until(user.username),
        "groups": user.groups.order_by("name"),
        "rights": [(right, text) for right, text in RIGHT_TEXTS.items() if right in rights],
        "tokens": [queries.token_row(row) for row in queries.tokens(user)],
        "sessions": [queries.session_row(row) for row in queries.sessions_of(user)],
        "roles": ROLES,
        "form": form,
        "token_form": (token_form or TokenForm(rights=rights)) if is_service else None,
    }
    return render(request, "accounts/person.html", context)


def _paging(request: HttpRequest, page: Page[User]) -> dict[str, Any]:
    def url(number: int) -> str:
        query = request.GET.copy()
        query["page"] = str(number)
        return f"?{query.urlencode()}"

    count = page.paginator.count
    return {
        "has_others": page.has_other_pages(),
        "text": f"{count} people" if count != 1 else "1 person",
        "previous_url": url(page.previous_page_number()) if page.has_previous() else "",
        "next_url": url(page.next_page_number()) if page.has_next() else "",
    }


def _rights(user: User) -> frozenset[Right]:
    return rights_for(user.role, (name for group in user.groups.all() for name in group.rights))


def _told_once(request: HttpRequest, username: str, password: str) -> HttpResponse:
    context = {
        "heading": f"Password of {username}",
        "what": f"The first password of {username}",
        "secret": password,
        "how": "Tell it to this person alone. At the first sign-in it has to be changed.",
        "back": "person",
        "back_to": username,
    }
    return render(request, "accounts/told_once.html", context)


def _do(request: HttpRequest, username: str, act: Callable[[], object], done: str) -> HttpResponse:
    try:
        act()
    except IsocenterError as error:
        return _back(request, username, error)
    messages.success(request, f"{username} {done}.")
    return redirect("person", username=username)


def _back(request: HttpRequest, username: str, error: IsocenterError) -> HttpResponse:
    queries.person(username)  # 404 where there is nobody
    messages.error(request, str(error))
    return redirect("person", username=username)
