"""Flags of a study that are for some people only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

TWO_PATIENTS = "two-patients"

#: Flags that come of comparing identities. Who may upload could else guess whose a study is, send
#: an object that says so into it, and read from the flag whether the guess was wrong.
IDENTIFYING_FLAGS = frozenset({TWO_PATIENTS})

_Flag = TypeVar("_Flag", str, dict[str, str])


def flags_for(flags: Iterable[_Flag], *, identified: bool) -> list[_Flag]:
    """The flags that somebody sees: those of `Study.flags`, or their codes.

    Args:
        identified: whether they may know whose the study is.
    """
    return [flag for flag in flags if identified or _code(flag) not in IDENTIFYING_FLAGS]


def _code(flag: str | dict[str, str]) -> str:
    return flag if isinstance(flag, str) else flag["code"]
