"""One's own account: password, tokens, group, sessions."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from isocenter.apps.accounts import queries, services
from isocenter.apps.accounts.access import own_account, principal_of, signed_in
from isocenter.apps.accounts.forms import PasswordForm, TokenForm
from isocenter.apps.accounts.models import User
from isocenter.apps.accounts.services import SignInRefused, WeakPassword
from isocenter.apps.accounts.views.entry import sentence, wanted
from isocenter.apps.accounts.wording import RIGHT_TEXTS, ROLE_TEXTS
from isocenter.core.errors import IsocenterError


@signed_in
@require_safe
def account(request: HttpRequest) -> HttpResponse:
    """Who one is here."""
    return _page(request, TokenForm(rights=principal_of(request).rights))


@own_account
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    """Choose another password; the other sessions end."""
    user = owner(request)
    form = PasswordForm(request.POST or None)
    status = 200
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        key = request.session.session_key
        try:
            services.change_own_password(
                user,
                given["old"],
                given["new"],
                by=principal_of(request),
                address=services.address_of(request),
                session_key=key,
            )
        except SignInRefused as error:
            form.add_error("old", sentence(error))
            status = 429
        except WeakPassword as error:
            form.add_error("new", error.problems)
        except IsocenterError as error:
            form.add_error("old", str(error))
        else:
            update_session_auth_hash(request, user)
            messages.success(request, "The password is changed. Your other sessions have ended.")
            return redirect(wanted(request, or_else="/account/"))
    context = {
        "form": form,
        "next": wanted(request, or_else=""),
        "is_forced": user.must_change_password,
    }
    return render(request, "accounts/password.html", context, status=status)


@own_account
@require_POST
def account_group(request: HttpRequest) -> HttpResponse:
    """Work for one group alone, or for all of one's groups."""
    services.choose_group(owner(request), request.POST.get("group", ""), by=principal_of(request))
    return redirect("account")


@own_account
@require_POST
def token_new(request: HttpRequest) -> HttpResponse:
    """Make a token; the page that follows is the only one that shows it."""
    principal = principal_of(request)
    form = TokenForm(request.POST, rights=principal.rights)
    if not form.is_valid():
        return _page(request, form)
    given = form.cleaned_data
    try:
        made = services.create_token(
            owner(request),
            given["scopes"],
            name=given["name"],
            expires_at=services.expiry_after(int(given["days"])),
            by=principal,
        )
    except IsocenterError as error:
        form.add_error(None, str(error))
        return _page(request, form)
    context = {
        "heading": "New token",
        "what": f"The token “{made.row.name}”",
        "secret": made.text,
        "how": "Programs send it as the header Authorization: Bearer TOKEN.",
        "back": "account",
    }
    return render(request, "accounts/told_once.html", context)


@signed_in
@require_POST
def token_revoke(request: HttpRequest, prefix: str) -> HttpResponse:
    """End one of one's own tokens."""
    principal = principal_of(request)
    services.revoke_token(prefix, by=principal, owner=principal.name)
    messages.success(request, f"The token {prefix}… is revoked.")
    return redirect("account")


@own_account
@require_POST
def session_end(request: HttpRequest, session: str) -> HttpResponse:
    """Sign out another browser; ``others`` stands for all of them."""
    user, by = owner(request), principal_of(request)
    if session == "others":
        services.end_other_sessions(user, by=by, but=request.session.session_key)
    else:
        services.end_own_session(user, session, by=by)
    messages.success(request, "Signed out there.")
    return redirect("account")


def owner(request: HttpRequest) -> User:
    """The person who asks, by session or by token."""
    if isinstance(request.user, User):
        return request.user
    return queries.person(principal_of(request).name)


def _page(request: HttpRequest, form: TokenForm) -> HttpResponse:
    user = owner(request)
    principal = principal_of(request)
    key = request.session.session_key
    context: dict[str, Any] = {
        "user": user,
        "groups": user.groups.order_by("name"),
        "role_text": ROLE_TEXTS.get(user.role, ""),
        "rights": [(right, RIGHT_TEXTS[right]) for right in RIGHT_TEXTS if principal.may(right)],
        "tokens": [queries.token_row(row) for row in queries.tokens(user)],
        "sessions": [queries.session_row(row, key) for row in queries.sessions_of(user)],
        "form": form,
    }
    return render(request, "accounts/account.html", context)
