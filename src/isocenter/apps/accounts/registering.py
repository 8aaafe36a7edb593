"""People who register themselves, and wait for an administrator's yes."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from isocenter.apps.accounts import limits
from isocenter.apps.accounts.models import User
from isocenter.apps.accounts.people import NewPerson, new_account
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.core.errors import ConfigurationError, NotAllowed

MOST_WAITING = 200  # nobody fills the table


def is_open() -> bool:
    """Whether people may register (setting ``accounts.registration``)."""
    return bool(settings.ISOCENTER.accounts.registration == "approval")


def register(
    username: str, *, password: str, full_name: str, email: str, address: str
) -> NewPerson:
    """Make an account that can do nothing until an administrator approves it.

    Raises:
        NotAllowed: registration is off, or too many came.
        ConfigurationError: the name is taken or no name, no mail address, a weak password.
    """
    if not is_open():
        raise NotAllowed("registration is off", hint="ask an administrator for an account")
    if limits.count(limits.of_registration(address)):
        raise NotAllowed("too many have registered from this address", hint="try in an hour")
    with transaction.atomic():
        if User.objects.filter(is_approved=False).count() >= MOST_WAITING:
            raise NotAllowed("too many wait for approval", hint="ask an administrator")
        if not full_name.strip():
            raise ConfigurationError("a full name is needed: somebody has to know you")
        user = new_account(
            username, full_name=full_name, email=email, password=password, is_approved=False
        )
        record(Kind.REGISTERED, actor=user.username, account=user.username, address=address)
    return NewPerson(user, "")
