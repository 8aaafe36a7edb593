"""What is done to a data element, and the record that it was done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What the engine does to one data element."""

    KEEP = "keep"  # its bytes are copied
    REMOVE = "remove"  # it is not written (X)
    EMPTY = "empty"  # zero length (Z)
    DUMMY = "dummy"  # a value that says nothing, of the same VR (D)
    UID = "uid"  # another UID, the same for the same input (U)
    SHIFT = "shift"  # another date, the same number of days away for the patient
    CLEAN = "clean"  # what identifies is taken out of the text (C)
    REPLACE = "replace"  # a given value
    HASH = "hash"  # a keyed hash of the value
    ROUND = "round"  # a coarser value: an age above 89 years, a number by a site's rule
    PSEUDONYM = "pseudonym"  # the patient's other name or ID
    RECURSE = "recurse"  # a sequence that stays; its items are decided element by element
    REFUSE = "refuse"  # the object must not leave
    BLANK = "blank"  # pixels or a document overwritten


@dataclass(frozen=True, slots=True)
class Record:
    """One line of an object's action log. It holds nothing that identifies anybody.

    Attributes:
        path: tags and item numbers from 1, ``(0040,A730)[2]/(0040,A160)``.
        vr: value representation as read, ``UN`` where unknown.
        rule: what decided: ``E.1-1 X/Z/D``, ``keep list``, ``site rule NAME``, ``private``,
            ``unknown``.
        action: what was done.
        old: keyed hash of the old value, 16 hexadecimal digits.
        new: the new value, at most 64 characters; empty where there is none.
    """

    path: str
    vr: str
    rule: str
    action: Action
    old: str
    new: str = ""
