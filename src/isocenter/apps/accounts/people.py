"""Making, changing, approving and disabling people; their passwords."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from isocenter.apps.accounts import limits, sessions
from isocenter.apps.accounts.models import User
from isocenter.apps.accounts.passwords import check_password, temporary_password
from isocenter.apps.accounts.queries import person, principal_of_user
from isocenter.apps.accounts.rights import (
    COMMAND_LINE,
    ROLE_RIGHTS,
    Principal,
    Right,
    require_to_give,
)
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.core.errors import ConfigurationError, NotAllowed

FIRST_ADMINISTRATOR = "admin"
# Also a part of addresses (/people/NAME/); `new` is the page that makes people.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}")
_RESERVED = frozenset({"new", "cli", "nobody", "system"})
_CHANGEABLE = ("full_name", "email", "role")
_LOCK = 0x1507E43  # changes that may take the last administrator wait for each other


@dataclass(frozen=True)
class NewPerson:
    """A person with the password that is told to them once; empty where none was made up."""

    user: User
    password: str


def create_user(
    username: str,
    *,
    by: Principal,
    role: str = User.Role.STUDENT,
    full_name: str = "",
    email: str = "",
    password: str | None = None,
) -> NewPerson:
    """Make a person. Without a password one is made up, to be changed at the first sign-in.

    A service has no password: it signs in by tokens.

    Raises:
        NotAllowed: ``by`` may not, or has less than the role gives.
        ConfigurationError: the name is taken or no name, no such role, a weak password.
    """
    by.require(Right.MANAGE_PEOPLE)
    user = _new(username, full_name, email, role)
    require_to_give(by, ROLE_RIGHTS[role])
    made_up = _first_password(user, password)
    with transaction.atomic():
        _insert(user)
        record(Kind.ACCOUNT_CHANGED, actor=by.name, account=user.username, made=True, role=role)
    return NewPerson(user, made_up)


def change_user(username: str, *, by: Principal, **values: Any) -> User:
    """Change ``full_name``, ``email`` or ``role``; what is not named stays.

    Raises:
        NotAllowed: ``by`` has less than the person has or would get.
        ConfigurationError: a value that cannot be; the last administrator.
        NotFound: nobody has this name.
    """
    with transaction.atomic():
        user = _locked(username, by)
        before = {name: getattr(user, name) for name in _CHANGEABLE}
        unknown = sorted(set(values) - set(_CHANGEABLE))
        if unknown:
            raise ConfigurationError(f"{', '.join(unknown)} cannot be changed")
        for name, value in values.items():
            setattr(user, name, value)
        _check_values(user)
        changed = [name for name in _CHANGEABLE if getattr(user, name) != before[name]]
        if "role" in changed:
            require_to_give(by, ROLE_RIGHTS[user.role])
            if before["role"] == User.Role.ADMINISTRATOR:
                _keep_an_administrator(user)
            if user.role == User.Role.SERVICE:
                user.set_unusable_password()
                sessions.end_sessions(user)
        user.save()
        if changed:
            roles = {"role": user.role, "role_before": before["role"]} if "role" in changed else {}
            record(
                Kind.ACCOUNT_CHANGED,
                actor=by.name,
                account=user.username,
                changed=changed,
                **roles,
            )
    return user


def set_active(username: str, is_active: bool, *, by: Principal) -> User:
    """Disable a person, who is signed out at once and whose tokens rest; or enable them again.

    Raises:
        NotAllowed: ``by`` has less than the person, or is the person.
        ConfigurationError: the last administrator.
        NotFound: nobody has this name.
    """
    with transaction.atomic():
        user = _locked(username, by)
        if not is_active:
            if user.pk == by.user_id:
                raise NotAllowed("nobody disables their own account", hint="ask somebody else")
            if user.role == User.Role.ADMINISTRATOR:
                _keep_an_administrator(user)
            sessions.end_sessions(user)
        was_active, user.is_active = user.is_active, is_active
        user.save(update_fields=["is_active"])
        limits.forget(limits.of_name(user.username))
        if was_active != is_active:
            record(Kind.ACCOUNT_CHANGED, actor=by.name, account=user.username, is_active=is_active)
    return user


def approve(username: str, *, by: Principal, role: str | None = None) -> User:
    """Say yes to somebody who registered, with the role that they get.

    Raises:
        NotAllowed: ``by`` has less than the role gives.
        ConfigurationError: no such role.
        NotFound: nobody has this name.
    """
    with transaction.atomic():
        user = _locked(username, by)
        if user.is_approved:
            return user
        user.role = role or user.role
        _check_values(user)
        require_to_give(by, ROLE_RIGHTS[user.role])
        user.is_approved = True
        user.save(update_fields=["is_approved", "role"])
        record(
            Kind.ACCOUNT_CHANGED,
            actor=by.name,
            account=user.username,
            is_approved=True,
            role=user.role,
        )
    return user


def refuse_registration(username: str, *, by: Principal) -> None:
    """Say no to somebody who registered: the account goes, it never did anything.

    Raises:
        ConfigurationError: it was approved already.
        NotFound: nobody has this name.
    """
    with transaction.atomic():
        user = _locked(username, by)
        if user.is_approved:
            raise ConfigurationError(
                f"{user.username} is approved already", hint="disable the account instead"
            )
        record(Kind.ACCOUNT_CHANGED, actor=by.name, account=user.username, is_approved=False)
        user.delete()


def unlock(username: str, *, by: Principal) -> User:
    """Let somebody sign in again at once who typed wrong passwords.

    Raises:
        NotFound: nobody has this name.
    """
    with transaction.atomic():
        user = _locked(username, by)
        limits.forget(limits.of_name(user.username))
        record(Kind.ACCOUNT_CHANGED, actor=by.name, account=user.username, unlocked=True)
    return user


def set_password(username: str, password: str | None = None, *, by: Principal) -> str:
    """Give a person a new password; they are signed out, and choose their own when they return.

    Args:
        password: None: one is made up.

    Returns:
        The password, to be told once.

    Raises:
        NotAllowed: ``by`` has less than the person.
        ConfigurationError: a weak password; a service.
        NotFound: nobody has this name.
    """
    with transaction.atomic():
        user = _locked(username, by)
        if user.role == User.Role.SERVICE:
            raise ConfigurationError(
                f"{user.username} is a service", hint="it signs in by tokens; make one"
            )
        if password is not None:
            check_password(password, user)
        chosen = password or temporary_password()
        _keep_password(user, chosen, must_change=True)
        sessions.end_sessions(user)
        limits.forget(limits.of_name(user.username))
        record(Kind.ACCOUNT_CHANGED, actor=by.name, account=user.username, changed=["password"])
    return chosen


def first_administrator() -> str | None:
    """Make the administrator of a new installation.

    Returns:
        The password, to be printed once and kept nowhere; None where people exist already.
    """
    with transaction.atomic():
        _wait_for_others()
        if User.objects.exists():
            return None
        made = create_user(
            FIRST_ADMINISTRATOR,
            by=COMMAND_LINE,
            role=User.Role.ADMINISTRATOR,
            full_name="First administrator",
        )
    return made.password


def new_account(
    username: str, *, full_name: str, email: str, password: str, is_approved: bool
) -> User:
    """The row of somebody who made it themselves, with the least role.

    Raises:
        ConfigurationError: the name is taken or no name, no mail address, a weak password.
    """
    user = _new(username, full_name, email, User.Role.STUDENT)
    check_password(password, user)
    user.set_password(password)
    user.password_changed_at = timezone.now()
    user.is_approved = is_approved
    _insert(user)
    return user


def _new(username: str, full_name: str, email: str, role: str) -> User:
    if username.casefold() in _RESERVED:
        raise ConfigurationError(f"{username!r} cannot be a name: it is reserved")
    if not _NAME.fullmatch(username):
        raise ConfigurationError(
            f"{username[:64]!r} cannot be a name",
            hint="letters, digits and . @ + - _, at most 64 of them",
        )
    user = User(username=username, full_name=full_name.strip(), email=email.strip(), role=role)
    _check_values(user)
    return user


def _check_values(user: User) -> None:
    if user.role not in ROLE_RIGHTS:
        raise ConfigurationError(
            f"there is no role {user.role}", hint=f"roles are {', '.join(ROLE_RIGHTS)}"
        )
    if len(user.full_name) > 255 or "\x00" in user.full_name:
        raise ConfigurationError("a full name has at most 255 characters")
    if user.email:
        try:
            validate_email(user.email)
        except ValidationError:
            raise ConfigurationError(f"{user.email[:80]!r} is no mail address") from None


def _insert(user: User) -> None:
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError:
        raise ConfigurationError(f"the name {user.username} is taken") from None


def _first_password(user: User, password: str | None) -> str:
    if user.role == User.Role.SERVICE:
        if password:
            raise ConfigurationError("a service has no password", hint="make it a token")
        user.set_unusable_password()
        return ""
    if password is not None:
        check_password(password, user)
    made_up = "" if password is not None else temporary_password()
    user.set_password(password if password is not None else made_up)
    user.must_change_password = True
    user.password_changed_at = timezone.now()
    return made_up


def _keep_password(user: User, password: str, *, must_change: bool) -> None:
    user.set_password(password)
    user.must_change_password = must_change
    user.password_changed_at = timezone.now()
    user.save(update_fields=["password", "must_change_password", "password_changed_at"])


def _locked(username: str, by: Principal) -> User:
    """The row of somebody whom ``by`` has power over, locked."""
    by.require(Right.MANAGE_PEOPLE)
    _wait_for_others()
    found = User.objects.select_for_update().get(pk=person(username).pk)
    require_to_give(by, principal_of_user(found, as_if_active=True).rights)
    return found


def _keep_an_administrator(user: User) -> None:
    others = User.objects.filter(
        role=User.Role.ADMINISTRATOR, is_active=True, is_approved=True
    ).exclude(pk=user.pk)
    if not others.exists():
        raise ConfigurationError(
            f"{user.username} is the only administrator", hint="make another one first"
        )


def _wait_for_others() -> None:
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
