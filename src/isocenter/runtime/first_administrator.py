"""The administrator that a new installation gets, and who is told the password."""

from __future__ import annotations

from collections.abc import Mapping

_SIGN_IN = "Sign in   as "


def first_administrator() -> dict[str, str] | None:
    """The administrator that an installation without people gets: name and password, told once."""
    from isocenter.apps.accounts.services import first_administrator as make

    password = make()
    return None if password is None else {"name": "admin", "password": password}


def administrator_lines(made: Mapping[str, str] | None) -> list[str]:
    """What the person who started us reads about it; nowhere else is it kept."""
    if made is None:
        return []
    return [
        f"{_SIGN_IN}{made['name']} with the password {made['password']}",
        "          (shown this once, to be changed at the first sign-in;",
        f"          another one: isocenter user password {made['name']})",
    ]


def is_sign_in(line: str) -> bool:
    """Whether a line of `isocenter up` is the one with the password."""
    return line.startswith(_SIGN_IN)
