"""What people do with their own account."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from isocenter.apps.accounts import sessions
from isocenter.apps.accounts.models import Group, User
from isocenter.apps.accounts.passwords import WeakPassword, check_password
from isocenter.apps.accounts.rights import Principal
from isocenter.apps.accounts.signing_in import check_present_password
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.core.errors import ConfigurationError


def change_own_password(
    user: User,
    old: str,
    new: str,
    *,
    by: Principal,
    address: str = "",
    session_key: str | None = None,
) -> None:
    """Somebody chooses their password. Their other sessions end.

    Args:
        address: where they ask from; wrong passwords count for it as at sign-in.

    Raises:
        NotAllowed: ``by`` is a token without the scope ``all``.
        SignInRefused: too many wrong ones; says until when.
        ConfigurationError: the old one is wrong.
        WeakPassword: the new one is not good enough, or is the old one.
    """
    by.require_own_account()
    # Outside the transaction: what was counted has to stay when this is refused.
    seen = check_present_password(user, old, address)
    with transaction.atomic():
        locked = User.objects.select_for_update().get(pk=user.pk)
        if locked.password != seen:  # somebody else has changed it in this moment
            raise ConfigurationError("The present password is wrong.")
        if locked.check_password(new):
            raise WeakPassword(["This is the present password; choose another."])
        check_password(new, locked)
        locked.set_password(new)
        locked.must_change_password = False
        locked.password_changed_at = timezone.now()
        locked.save(update_fields=["password", "must_change_password", "password_changed_at"])
        sessions.end_sessions(locked, but=session_key)
        record(Kind.ACCOUNT_CHANGED, actor=by.name, account=locked.username, changed=["password"])
    user.refresh_from_db()


def choose_group(user: User, group: str, *, by: Principal) -> None:
    """Work for one of one's groups alone; an empty name: for all of them.

    Raises:
        NotAllowed: ``by`` is a token without the scope ``all``.
        ConfigurationError: not a member of it.
    """
    by.require_own_account()
    found: Group | None = None
    if group:
        found = user.groups.filter(name=group).first()
        if found is None:
            raise ConfigurationError(f"{user.username} is no member of {group}")
    user.active_group = found
    user.save(update_fields=["active_group"])
    record(Kind.ACCOUNT_CHANGED, actor=by.name, account=user.username, active_group=group)


def end_own_session(user: User, session: str, *, by: Principal) -> bool:
    """Sign out in one of one's browsers; whether there was one.

    Args:
        session: its id (`queries.session_id`).

    Raises:
        NotAllowed: ``by`` is a token without the scope ``all``.
    """
    by.require_own_account()
    return sessions.end_session(user, session, actor=by.name)


def end_other_sessions(user: User, *, by: Principal, but: str | None) -> int:
    """Sign out in all of one's browsers but this one; how many.

    Raises:
        NotAllowed: ``by`` is a token without the scope ``all``.
    """
    by.require_own_account()
    return sessions.end_sessions(user, but=but)
