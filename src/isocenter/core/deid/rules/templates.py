"""Templates of new values: ``{site}`` things that a rule puts together from other values.

========================= ================================================================
field                     becomes
========================= ================================================================
``{pseudonym}``           the patient's new ID
``{value}``               the element's own old value
``{StudyDate}``           the old value of another attribute (it leaves as it is!)
``{shift:StudyDate}``     a date, moved by the patient's days
``{hash:PatientID}``      a keyed hash, 16 digits; ``{hash:PatientID:8}`` has 8
``{uid:StudyInstanceUID}`` the UID that stands for it
``{first:value:3}``       the first three characters; ``last`` the last
``{{``, ``}}``            braces
========================= ================================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from isocenter.core.deid.pseudonyms.dates import shift_date, shift_datetime
from isocenter.core.deid.pseudonyms.issuing import PatientAlias
from isocenter.core.deid.pseudonyms.secrets import Secret
from isocenter.core.deid.rules.tag_patterns import tag_of
from isocenter.core.errors import ConfigurationError

_PART = re.compile(
    r"(?P<open>\{\{)|(?P<close>\}\})|\{(?:(?P<function>[a-z]+):)?(?P<name>\w+)(?::(?P<size>\d+))?\}"
    r"|(?P<text>[^{}]+)|(?P<wrong>.)",
    re.DOTALL,
)
_SIZED = frozenset({"hash", "first", "last"})
_FUNCTIONS = _SIZED | {"shift", "uid"}
_OWN_NAMES = frozenset({"value", "pseudonym"})
_HASH_LETTERS = 16


@dataclass(frozen=True)
class Template:
    """A template; see the head of this module.

    Raises:
        ConfigurationError: a brace, function or keyword that is none.
    """

    text: str

    def __post_init__(self) -> None:
        for part in self._parts:
            _check(part)

    @cached_property
    def _parts(self) -> tuple[dict[str, str | None], ...]:
        return tuple(found.groupdict() for found in _PART.finditer(self.text))

    def fill(
        self,
        value: str,
        look: Callable[[str], str | None],
        secret: Secret,
        patient: PatientAlias,
    ) -> str:
        """The new value. Attributes that the object does not have count as empty."""
        filled = []
        for part in self._parts:
            name = part["name"]
            if name is None:
                filled.append(part["text"] or ("{" if part["open"] else "}"))
                continue
            if name == "pseudonym":
                old = patient.patient_id
            else:
                old = value if name == "value" else (look(name) or "")
            filled.append(_apply(part, old.strip(" \0"), secret, patient))
        return "".join(filled)


def _check(part: dict[str, str | None]) -> None:
    if part["wrong"]:
        raise ConfigurationError("template: a single brace", hint="write {{ or }} for a brace")
    name, function, size = part["name"], part["function"], part["size"]
    if name is None:
        return
    if function is not None and function not in _FUNCTIONS:
        raise ConfigurationError(
            f"template: {function!r} is no function", hint=f"one of {', '.join(sorted(_FUNCTIONS))}"
        )
    if function in ("first", "last") and size is None:
        raise ConfigurationError(f"template: {function} needs a number, {{{function}:{name}:3}}")
    if size is not None and function not in _SIZED:
        raise ConfigurationError(f"template: a number after {name} means nothing here")
    if name not in _OWN_NAMES:
        tag_of(name)


def _apply(part: dict[str, str | None], old: str, secret: Secret, patient: PatientAlias) -> str:
    size = int(part["size"] or _HASH_LETTERS)
    match part["function"]:
        case "hash":
            return secret.hash_text(old, size) if old else ""
        case "uid":
            return secret.uid(old)
        case "shift":
            days = patient.day_shift
            return shift_date(old, days) or shift_datetime(old, days) or ""
        case "first":
            return old[:size]
        case "last":
            return old[-size:] if size else ""
        case _:
            return old
