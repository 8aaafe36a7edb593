"""What can be done with people, groups, tokens and sessions."""

from __future__ import annotations

from isocenter.apps.accounts.groups import (
    add_member,
    change_group,
    create_group,
    grant_node,
    remove_group,
    remove_member,
)
from isocenter.apps.accounts.own_account import (
    change_own_password,
    choose_group,
    end_other_sessions,
    end_own_session,
)
from isocenter.apps.accounts.passwords import WeakPassword
from isocenter.apps.accounts.people import (
    NewPerson,
    approve,
    change_user,
    create_user,
    first_administrator,
    refuse_registration,
    set_active,
    set_password,
    unlock,
)
from isocenter.apps.accounts.registering import register
from isocenter.apps.accounts.signing_in import SignInRefused, address_of, sign_in, sign_out
from isocenter.apps.accounts.tokens import (
    NewToken,
    create_token,
    default_expiry,
    expiry_after,
    principal_of_token,
    revoke_token,
)

__all__ = [
    "NewPerson",
    "NewToken",
    "SignInRefused",
    "WeakPassword",
    "add_member",
    "address_of",
    "approve",
    "change_group",
    "change_own_password",
    "change_user",
    "choose_group",
    "create_group",
    "create_token",
    "create_user",
    "default_expiry",
    "end_other_sessions",
    "end_own_session",
    "expiry_after",
    "first_administrator",
    "grant_node",
    "principal_of_token",
    "refuse_registration",
    "register",
    "remove_group",
    "remove_member",
    "revoke_token",
    "set_active",
    "set_password",
    "sign_in",
    "sign_out",
    "unlock",
]
