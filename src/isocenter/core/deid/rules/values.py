"""What a rule makes of a value."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from enum import StrEnum
from functools import cached_property, partial

from isocenter.core.deid.pseudonyms.dates import cap_age, is_time, shift, shift_date
from isocenter.core.deid.pseudonyms.issuing import PatientAlias
from isocenter.core.deid.pseudonyms.secrets import Secret
from isocenter.core.deid.rules.templates import Template
from isocenter.core.deid.standard.actions import Action
from isocenter.core.errors import ConfigurationError

Look = Callable[[str], str | None]

_PADDING = " \0"
_HASH_LETTERS = 16
# The most characters that a keyed hash may have in a VR (PS3.5 6.2).
_HASH_ROOM = {"SH": 16, "CS": 16, "AE": 16}
_MOST_HASH_LETTERS = 64
_LONGEST_EXPRESSION = 2000
_MOST_DAYS = 36_525
_NUMBERS = frozenset({"DS", "IS"})
#: No text: a rule that makes text gives these a value that says nothing.
BINARY_VRS = frozenset(
    ["AT", "FD", "FL", "OB", "OD", "OF", "OL", "OV", "OW", "SL", "SS", "SV", "UL", "UN", "US", "UV"]
)
_TEXT = frozenset({"SH", "CS", "AE", "LO", "LT", "PN", "ST", "UC", "UT", "UR"})
_ONE_TEXT = frozenset({"LT", "ST", "UT", "UR"})  # a backslash is text there (PS3.5 6.2)
_DS_LETTERS = 16
_IS_DIGITS = 9  # below 2**31
_EIGHT_DIGITS = re.compile(r"(?<![0-9])[0-9]{8}")
_AGE = re.compile(r"(\d{3})([DWMY])")
_COARSE_DATES = {"year": 4, "month": 6}
_COARSE_TIMES = {"hour": 2, "minute": 4}


class ChangeKind(StrEnum):
    """What rules can do, by the word a rule file has for it."""

    KEEP = "keep"
    REMOVE = "remove"
    EMPTY = "empty"
    DUMMY = "dummy"
    UID = "uid"
    CLEAN = "clean"
    PSEUDONYM = "pseudonym"
    REFUSE = "refuse"
    REPLACE = "replace"
    TEMPLATE = "template"
    HASH = "hash"
    SHIFT = "shift"
    REGEX_REPLACE = "regex-replace"
    ROUND = "round"


_MAKE_TEXT = frozenset(
    {
        ChangeKind.REPLACE,
        ChangeKind.TEMPLATE,
        ChangeKind.HASH,
        ChangeKind.REGEX_REPLACE,
        ChangeKind.ROUND,
        ChangeKind.PSEUDONYM,
    }
)


@dataclass(frozen=True)
class Change:
    """One action with what it needs.

    Attributes:
        kind: which.
        text: new value of ``replace``, template of ``template``, regular expression of
            ``regex-replace``, step of ``round`` (a number; ``year`` or ``month`` for dates;
            ``hour`` or ``minute`` for times).
        by: what ``regex-replace`` puts in place of what fits; ``\\1`` is the first group.
        length: digits of a ``hash``.
        days: of a ``shift``, the same for everybody; None: the patient's own.

    Raises:
        ConfigurationError: something is missing or makes no sense.
    """

    kind: ChangeKind
    text: str = ""
    by: str = ""
    length: int = _HASH_LETTERS
    days: int | None = None

    def __post_init__(self) -> None:
        if self.kind is ChangeKind.REGEX_REPLACE:
            check_expression(self.text)
            try:
                re.compile(f"{self.text}|").sub(self.by, "x")  # the empty alternative always fits
            except (re.error, IndexError) as error:
                raise ConfigurationError(f"by: {error}") from error
        if self.kind is ChangeKind.TEMPLATE:
            _ = self._template
        if self.kind is ChangeKind.ROUND:
            self._check_step()
        if self.days is not None and abs(self.days) > _MOST_DAYS:
            raise ConfigurationError(f"days {self.days}: at most {_MOST_DAYS} either way")
        if not 1 <= self.length <= _MOST_HASH_LETTERS:
            raise ConfigurationError(f"length {self.length}: from 1 to {_MOST_HASH_LETTERS}")

    def apply(
        self, value: str, vr: str, look: Look, secret: Secret, patient: PatientAlias
    ) -> tuple[Action, str | None]:
        """The action, and the new text where it is not the engine that makes it.

        What cannot be done with the value (a word that is to be rounded, a date that is none)
        gives EMPTY: nothing of it stays. Binary VRs take no text: they get a dummy.
        """
        new: str | None
        if vr in BINARY_VRS and self.kind in _MAKE_TEXT:
            return Action.DUMMY, None
        match self.kind:
            case ChangeKind.REPLACE:
                return Action.REPLACE, self.text
            case ChangeKind.TEMPLATE:
                return Action.REPLACE, self._template.fill(value, look, secret, patient)
            case ChangeKind.REGEX_REPLACE:
                replace = partial(self._expression.sub, self.by)
                return Action.REPLACE, _each(value, vr, replace)
            case ChangeKind.PSEUDONYM:
                new = patient.patient_name if vr == "PN" else patient.patient_id
                return Action.PSEUDONYM, new
            case ChangeKind.HASH:
                action, new = Action.HASH, self._hash(value, vr, secret)
            case ChangeKind.SHIFT:
                days = patient.day_shift if self.days is None else self.days
                action, new = Action.SHIFT, shift(value, vr, days)
            case ChangeKind.ROUND:
                action, new = Action.ROUND, self._round(value, vr)
            case _:
                return Action(self.kind.value), None
        return (Action.EMPTY, None) if new is None else (action, new)

    def days_made(self, days: Iterable[str], patient: PatientAlias) -> frozenset[str]:
        """The days that can stand where this was done, ``YYYYMMDD``: each of them means another.

        Args:
            days: of the originals, ``YYYYMMDD``.
            patient: whose.
        """
        match self.kind:
            case ChangeKind.SHIFT:
                moved = patient.day_shift if self.days is None else self.days
            case ChangeKind.TEMPLATE if "{shift:" in self.text:
                moved = patient.day_shift
            case ChangeKind.ROUND if self.text in _COARSE_DATES:
                digits = _COARSE_DATES[self.text]
                return frozenset(_coarse_date(day, "DA", digits) or "" for day in days)
            case ChangeKind.REPLACE:
                return frozenset(_EIGHT_DIGITS.findall(self.text))
            case _:
                return frozenset()
        return frozenset(shift_date(day, moved) or "" for day in days)

    def _hash(self, value: str, vr: str, secret: Secret) -> str | None:
        if vr == "UI":
            return _each(value, vr, secret.uid)
        if vr in _NUMBERS:
            modulus = 10 ** min(self.length, _IS_DIGITS)
            return _each(value, vr, lambda one: str(secret.number("hash", one, modulus)))
        if vr not in _TEXT:
            return None
        length = min(self.length, _HASH_ROOM.get(vr, _MOST_HASH_LETTERS))
        hashed = _each(value, vr, lambda one: secret.hash_text(one, length))
        return hashed.upper() if vr in ("CS", "AE") else hashed

    def _round(self, value: str, vr: str) -> str | None:
        rounded = [
            self._round_one(one, vr) if (one := part.strip(_PADDING)) else ""
            for part in value.split("\\")
        ]
        return None if None in rounded else "\\".join(one or "" for one in rounded)

    def _round_one(self, text: str, vr: str) -> str | None:
        if self.text in _COARSE_DATES:
            return _coarse_date(text, vr, _COARSE_DATES[self.text])
        if self.text in _COARSE_TIMES:
            return _coarse_time(text, vr, _COARSE_TIMES[self.text])
        if vr == "AS":
            return self._round_age(text)
        if vr not in _NUMBERS and vr not in ("SH", "LO"):
            return None
        number = self._nearest(text)
        if number is None:
            return None
        if vr == "IS":
            return str(int(number.to_integral_value(ROUND_HALF_EVEN)))
        written = f"{number:f}"
        return written if vr != "DS" or len(written) <= _DS_LETTERS else f"{float(number):.9g}"

    def _round_age(self, text: str) -> str | None:
        found = _AGE.fullmatch(text)
        number = None if found is None else self._nearest(found[1])
        if found is None or number is None:
            return None
        return cap_age(f"{min(int(number), 999):03}{found[2]}")

    def _nearest(self, text: str) -> Decimal | None:
        try:
            steps = Decimal(text) / self._step
            if not steps.is_finite():
                return None
            return steps.to_integral_value(ROUND_HALF_EVEN) * self._step
        except InvalidOperation:
            return None

    @cached_property
    def _step(self) -> Decimal:
        return Decimal(self.text)

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        return re.compile(self.text)

    @cached_property
    def _template(self) -> Template:
        return Template(self.text)

    def _check_step(self) -> None:
        if self.text in _COARSE_DATES or self.text in _COARSE_TIMES:
            return
        try:
            good = self._step.is_finite() and self._step > 0
        except InvalidOperation:
            good = False
        if not good:
            raise ConfigurationError(
                f"to: {self.text!r} is no step", hint="a number above 0, year, month, hour, minute"
            )


def check_expression(expression: str) -> re.Pattern[str]:
    """A regular expression that can be used.

    Raises:
        ConfigurationError: it cannot.
    """
    if len(expression) > _LONGEST_EXPRESSION:
        raise ConfigurationError(
            f"regular expression: longer than {_LONGEST_EXPRESSION} characters"
        )
    try:
        return re.compile(expression)
    except (re.error, RecursionError, OverflowError) as error:
        raise ConfigurationError(f"regular expression {expression!r}: {error}") from error


def _each(value: str, vr: str, change: Callable[[str], str]) -> str:
    """Change every value that is not empty."""
    parts = (part.strip(_PADDING) for part in ([value] if vr in _ONE_TEXT else value.split("\\")))
    return "\\".join(change(part) if part else "" for part in parts)


def _coarse_date(text: str, vr: str, digits: int) -> str | None:
    """A date with its month and day, or its day, set to the first; a DT loses its time too."""
    checked = shift(text, vr, 0)
    if checked is None or vr not in ("DA", "DT"):
        return None
    plain = re.sub(r"[./-]", "", checked) if vr == "DA" else re.split(r"[+-]", checked)[0]
    if len(plain) <= digits:
        return plain
    return plain[:digits] + "0101"[digits - 4 :] if len(plain) >= 8 else plain[:digits]


def _coarse_time(text: str, vr: str, digits: int) -> str | None:
    if vr != "TM" or not is_time(text) or "-" in text:
        return None
    return (text.replace(":", "")[:digits] + "000000")[:6]
