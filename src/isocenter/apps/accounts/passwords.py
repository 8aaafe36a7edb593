"""Passwords: what is good enough, and ones that we make up."""

from __future__ import annotations

import secrets

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from isocenter.apps.accounts.models import User
from isocenter.core.errors import ConfigurationError

# Without those that look alike on a printed line.
_LETTERS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_GROUPS, _GROUP = 4, 5  # 20 of 57 letters: 116 bits
LONGEST = 1024


class WeakPassword(ConfigurationError):
    """A password that is not good enough.

    Attributes:
        problems: each as a sentence.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


def temporary_password() -> str:
    """A random one to be told to a person, for their first sign-in."""
    groups = ("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))
    return "-".join(groups)


def check_password(text: str, user: User) -> None:
    """
    Raises:
        WeakPassword: too short, too common, like the person's name; says all that is wrong.
    """
    if len(text) > LONGEST:
        raise WeakPassword([f"A password has at most {LONGEST} characters."])
    if "\x00" in text:
        raise WeakPassword(["A password has no NUL."])
    try:
        validate_password(text, user)
    except ValidationError as error:
        raise WeakPassword(list(error.messages)) from None
