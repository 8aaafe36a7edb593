"""Signing in with name and password, signing out."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth import login, logout
from django.contrib.auth.hashers import check_password, make_password
from django.db import transaction
from django.http import HttpRequest

from isocenter.apps.accounts import limits, sessions
from isocenter.apps.accounts.models import User
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.core.errors import ConfigurationError, NotAllowed

_BACKEND = "django.contrib.auth.backends.ModelBackend"


class SignInRefused(NotAllowed):
    """Name and password do not open the door.

    Attributes:
        until: when it is worth another try; None: at once.
    """

    def __init__(self, message: str, *, until: datetime | None = None) -> None:
        super().__init__(message)
        self.until = until


def sign_in(request: HttpRequest, name: str, password: str) -> User:
    """Check name and password, and begin a session with a new key.

    Names that nobody has take as long, are counted and locked as others are.

    Raises:
        SignInRefused: wrong, locked, disabled, not approved yet.
    """
    address = address_of(request)
    user = _checked(name, password, address)
    with transaction.atomic():
        sessions.remove_ended()
        if request.session.session_key:
            request.session.flush()
        login(request, user, backend=_BACKEND)
        sessions.begin(request, address)
        record(Kind.SIGNED_IN, actor=user.username, address=address)
    return user


def sign_out(request: HttpRequest) -> None:
    """End this session."""
    user = request.user
    if user.is_authenticated:
        record(Kind.SIGNED_OUT, actor=user.get_username(), address=address_of(request))
    logout(request)


def address_of(request: HttpRequest) -> str:
    """Where a request comes from; the server has looked through trusted proxies."""
    return str(request.META.get("REMOTE_ADDR") or "")[:64]


def check_present_password(user: User, password: str, address: str) -> str:
    """Whether somebody who is signed in knows their password: counted as a sign-in is, or a
    session that was left open would be a way to guess it.

    Returns:
        The hash that it fits.

    Raises:
        ConfigurationError: it is wrong.
        SignInRefused: too many wrong ones; says until when.
    """
    try:
        return _with_password(user.username, password, address, where="password").password
    except SignInRefused as error:
        if error.until:
            raise
        raise ConfigurationError("The present password is wrong.") from None


def _checked(name: str, password: str, address: str) -> User:
    user = _with_password(name, password, address)
    reason = _why_not(user)
    if reason:
        record(Kind.SIGN_IN_FAILED, actor=user.username, address=address, reason=reason)
        raise SignInRefused(reason)
    return user


def _with_password(name: str, password: str, address: str, **where: Any) -> User:
    """Who has this name and password; each attempt counts.

    Args:
        where: written into the events of a failure.
    """
    of_name, of_address = limits.of_name(name), limits.of_address(address)
    until = limits.count(of_address) or limits.count(of_name)
    if until:
        make_password(password)  # as long as a look at a password takes
        raise SignInRefused("Too many wrong attempts.", until=until)
    user = User.objects.filter(username__iexact=name).first()
    if not _is_right(user, password) or user is None:
        _failed(user, of_name, of_address, address=address, **where)
        raise SignInRefused("Name or password is wrong.")
    limits.forget(of_name)
    limits.take_back(of_address)
    return user


def _is_right(user: User | None, password: str) -> bool:
    if user is None or not user.has_usable_password():
        make_password(password)  # as long as a look at a password takes
        return False

    def renew(raw: str) -> None:  # hashed with what has become too weak
        user.set_password(raw)
        user.save(update_fields=["password"])

    return check_password(password, user.password, renew)


def _failed(
    user: User | None, of_name: limits.Limit, of_address: limits.Limit, **place: Any
) -> None:
    """Name only those who exist: what else stands there may be a password."""
    known = user.username if user else ""
    with transaction.atomic():
        until = limits.fail(of_name)
        too_many = limits.fail(of_address)
        record(Kind.SIGN_IN_FAILED, actor=known, reason="wrong name or password", **place)
        if until:
            record(Kind.ACCOUNT_LOCKED, actor=known, until=until.isoformat(), **place)
        if too_many:
            record(Kind.ACCOUNT_LOCKED, until=too_many.isoformat(), what="address", **place)


def _why_not(user: User) -> str:
    if not user.is_approved:
        return "This account waits for an administrator's approval."
    if not user.is_active:
        return "This account is disabled."
    return ""
