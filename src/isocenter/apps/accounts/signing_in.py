"""Signing in with name and password, signing out."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth import login, logout
from django.contrib.auth.hashers import check_password, make_password
from django.db import transaction
from django.http import HttpRequest

from isocenter.apps.accounts import limits, sessions
from isocenter.apps.accounts.models import User
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.core.errors import NotAllowed

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


def _checked(name: str, password: str, address: str) -> User:
    of_name, of_address = limits.of_name(name), limits.of_address(address)
    until = limits.count(of_address) or limits.count(of_name)
    if until:
        make_password(password)  # as long as a look at a password takes
        raise SignInRefused("Too many wrong attempts.", until=until)
    user = User.objects.filter(username__iexact=name).first()
    if not _is_right(user, password) or user is None:
        _failed(user, of_name, of_address, address)
        raise SignInRefused("Name or password is wrong.")
    limits.forget(of_name)
    limits.take_back(of_address)
    reason = _why_not(user)
    if reason:
        record(Kind.SIGN_IN_FAILED, actor=user.username, address=address, reason=reason)
        raise SignInRefused(reason)
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
    user: User | None, of_name: limits.Limit, of_address: limits.Limit, address: str
) -> None:
    """Name only those who exist: what else stands there may be a password."""
    known = user.username if user else ""
    with transaction.atomic():
        until = limits.fail(of_name)
        too_many = limits.fail(of_address)
        record(Kind.SIGN_IN_FAILED, actor=known, address=address, reason="wrong name or password")
        if until:
            record(Kind.ACCOUNT_LOCKED, actor=known, address=address, until=until.isoformat())
        if too_many:
            record(Kind.ACCOUNT_LOCKED, address=address, until=too_many.isoformat(), what="address")


def _why_not(user: User) -> str:
    if not user.is_approved:
        return "This account waits for an administrator's approval."
    if not user.is_active:
        return "This account is disabled."
    return ""
