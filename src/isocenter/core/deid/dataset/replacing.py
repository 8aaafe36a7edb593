"""New values for old: what each action makes of the bytes of one value.

Everything here is a function of the value, the decision, the character set and the context, so
that results can be remembered: the objects of a study repeat most values.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from isocenter.core.deid.policy import Option
from isocenter.core.deid.profile import DATE_VRS, TEXT_VRS, Decision
from isocenter.core.deid.proof.searching import FREE_TEXT_VRS, readings
from isocenter.core.deid.pseudonyms.dates import cap_age, is_time, shift
from isocenter.core.deid.standard.actions import Action
from isocenter.core.deid.standard.standard_uids import names_instances
from isocenter.core.deid.text.suspects import persons
from isocenter.core.deid.text.text_in_bytes import least_term, says_term
from isocenter.core.dicom.charsets import TextDecoder, text_decoder

if TYPE_CHECKING:
    from isocenter.core.deid.engine import Context

_PATIENT_NAME = "PatientName"
_REMEMBERED = 100_000
_NUMBER = b"0123456789+-.eE \\\0"
_ONE_TEXT_VRS = frozenset(("LT", "ST", "UT", "UR"))  # a backslash is text there (PS3.5 6.2)
_WHOLE_VRS = frozenset(("AE", "CS", "UR"))  # a part of one is not one
#: Longest value in characters (PS3.5 6.2); LT, ST and UT are not cut.
_MOST_CHARACTERS = {"AE": 16, "CS": 16, "LO": 64, "SH": 16}
_DUMMY_TEXT = "REMOVED"
#: Values that say nothing (PS3.15 Table E.1-1a, D); text VRs have a word.
_DUMMIES: dict[str, bytes] = {
    "AS": b"000D",
    "AT": bytes(4),
    "DA": b"19000101",
    "DS": b"0 ",
    "DT": b"19000101000000",
    "FD": bytes(8),
    "FL": bytes(4),
    "IS": b"0 ",
    "OB": bytes(2),
    "OD": bytes(8),
    "OF": bytes(4),
    "OL": bytes(4),
    "OV": bytes(8),
    "OW": bytes(2),
    "SL": bytes(4),
    "SS": bytes(2),
    "SV": bytes(8),
    "TM": b"000000",
    "UL": bytes(4),
    "UN": bytes(2),
    "UR": b"urn:removed ",
    "US": bytes(2),
    "UV": bytes(8),
}


class CharacterSetNeeded(Exception):
    """A new text cannot be written in the object's character set: it has to become UTF-8."""


@dataclass(frozen=True, slots=True, eq=False)
class CharacterSet:
    """The character set of a data set or item; there is one object for one value.

    Attributes:
        raw: the value of Specific Character Set.
        decoder: of its text.
        is_utf8: written as UTF-8 whatever it was.
    """

    raw: bytes
    decoder: TextDecoder
    is_utf8: bool = False

    def encode(self, text: str) -> bytes:
        """Text as bytes; ASCII is the same in all of them.

        Raises:
            CharacterSetNeeded: it cannot be written.
        """
        if text.isascii():
            return text.encode("ascii")
        if self.is_utf8:
            return text.encode("utf-8", "replace")
        return _encode(text, self.decoder.encodings)


@lru_cache(maxsize=256)
def character_set_of(raw: bytes, is_utf8: bool = False) -> CharacterSet:
    """The character set that a value of (0008,0005) names."""
    return CharacterSet(raw, text_decoder(raw), is_utf8)


@lru_cache(maxsize=4096)
def _encode(text: str, encodings: tuple[str, ...]) -> bytes:
    """With one codec where that is enough, otherwise by code extensions (PS3.5 6.1.2.5)."""
    if len(encodings) == 1:
        codec = "latin-1" if encodings[0] == "iso8859" else encodings[0]
        try:
            encoded = text.encode(codec)
        except (UnicodeEncodeError, LookupError):
            raise CharacterSetNeeded from None
    else:
        from pydicom.charset import encode_string

        from isocenter.core.dicom.quiet import quiet_pydicom

        try:
            with quiet_pydicom():
                encoded = bytes(encode_string(text, list(encodings)))
        except (UnicodeEncodeError, LookupError, ValueError):
            raise CharacterSetNeeded from None
    if TextDecoder(encodings).decode(encoded) != text.strip(" "):
        raise CharacterSetNeeded
    return encoded


class ObjectRefused(Exception):
    """The object must not leave; the message says why, and names nobody."""


class NewValue(NamedTuple):
    """What becomes of a value.

    Attributes:
        action: that was done, which may be less than what was decided: a date that is none cannot
            be shifted, so it goes.
        value: even number of bytes; None: the element goes.
        text: for the action log; empty where there is nothing to show.
    """

    action: Action
    value: bytes | None
    text: str = ""


GONE = NewValue(Action.REMOVE, None)
_EMPTY = NewValue(Action.EMPTY, b"")


class Replacer:
    """Makes new values in one context."""

    def __init__(self, context: Context) -> None:
        self._secret = context.secret
        self._patient = context.patient
        self._clean = context.cleaner.clean
        matcher = context.identifiers.matcher(context.policy)
        self._matcher = matcher
        self._find, self._in_numbers = matcher.find, matcher.in_numbers
        kept = Option.RETAIN_UIDS in context.policy.options
        self._uids = frozenset() if kept else context.identifiers.uids
        encoded = sorted(context.identifiers.encoded)
        self._encoded = re.compile(b"|".join(map(re.escape, encoded))) if encoded else None
        self._digests: dict[bytes, str] = {}
        self._by_action: dict[Action, Callable[[Decision, bytes, CharacterSet], NewValue | None]]
        self._by_action = {
            Action.KEEP: self._kept,
            Action.REMOVE: lambda *_: GONE,
            Action.EMPTY: lambda *_: _EMPTY,
            Action.DUMMY: self._dummy,
            Action.UID: self._uid,
            Action.SHIFT: self._shifted,
            Action.CLEAN: self._cleaned,
            Action.PSEUDONYM: self._pseudonym,
            Action.ROUND: self._rounded,
            Action.HASH: self._hashed,
            Action.REFUSE: self._refused,
        }

    def digest(self, raw: bytes) -> str:
        """Keyed hash of an old value, for the action log."""
        found = self._digests.get(raw)
        if found is None:
            if len(self._digests) > _REMEMBERED:
                self._digests.clear()
            found = self._digests[raw] = self._secret.digest(raw.decode("latin-1"))
        return found

    def new_value(
        self, decision: Decision, raw: bytes, character_set: CharacterSet
    ) -> NewValue | None:
        """What becomes of a value; None if it stays as it is.

        Raises:
            CharacterSetNeeded: see :class:`CharacterSet`.
        """
        new = self._by_action[decision.action](decision, raw, character_set)
        if new is None and character_set.is_utf8:
            return self._in_utf8(decision, raw, character_set)
        return new

    def written(
        self, text: str, action: Action, decision: Decision, character_set: CharacterSet
    ) -> NewValue:
        """A given text as a value of an element's VR."""
        return NewValue(action, _padded(character_set.encode(text), decision.vr), text)

    def fallback(self, decision: Decision, raw: bytes, character_set: CharacterSet) -> NewValue:
        """What the attribute's type leaves where an action cannot be done."""
        if decision.fallback is Action.DUMMY:
            return self._dummy(decision, raw, character_set)
        return _EMPTY if decision.fallback is Action.EMPTY else GONE

    def _in_utf8(
        self, decision: Decision, raw: bytes, character_set: CharacterSet
    ) -> NewValue | None:
        """Text that stays, in an object that becomes UTF-8."""
        if decision.vr not in TEXT_VRS or (raw.isascii() and b"\x1b" not in raw):
            return None
        text = character_set.decoder.decode(raw)
        return NewValue(Action.KEEP, _padded(character_set.encode(text), decision.vr))

    def _kept(self, decision: Decision, raw: bytes, character_set: CharacterSet) -> NewValue | None:
        if decision.check == "text":
            text = character_set.decoder.decode(raw)
            is_somebodys = decision.vr in FREE_TEXT_VRS and bool(persons(text))
            if not is_somebodys and not self._find(text):
                is_misread = not raw.isascii() and self._is_misread(raw)
                return self.fallback(decision, raw, character_set) if is_misread else None
            new = self._cleaned(decision, raw, character_set)
            if new is None and not text.isascii() and self._find(text, strong_only=True):
                return self.fallback(decision, raw, character_set)  # a short name as a code
            return new
        if decision.check == "bytes":  # a colour profile says in words what it is
            return self.fallback(decision, raw, character_set) if self._is_said(raw) else None
        if decision.check == "words":
            said = says_term(self._matcher, readings(raw), least_term(raw))
            return self.fallback(decision, raw, character_set) if said else None
        if decision.check == "class" and not self._uids.isdisjoint(_uids(raw)):
            return self._uid(decision, raw, character_set)
        if decision.check == "number" and (raw.translate(None, _NUMBER) or self._in_numbers(raw)):
            return self.fallback(decision, raw, character_set)
        if decision.check == "date" and not _is_date(decision.vr, raw):
            return self.fallback(decision, raw, character_set)
        return None

    def _is_said(self, raw: bytes) -> bool:
        """Whether an identifier can be read in bytes."""
        return bool(self._find(raw.decode("utf-8", "replace")) or self._find(raw.decode("latin-1")))

    def _is_misread(self, raw: bytes) -> bool:
        """Whether an identifier is written in another character set than the one in force."""
        if self._encoded is not None and self._encoded.search(raw):
            return True
        return any(self._find(text) for text in readings(raw))

    def _dummy(self, decision: Decision, raw: bytes, character_set: CharacterSet) -> NewValue:
        if decision.vr == "UI":
            return self._uid(decision, raw, character_set) or _EMPTY
        value = _DUMMIES.get(decision.vr)
        if value is None:
            return self.written(_DUMMY_TEXT, Action.DUMMY, decision, character_set)
        shown = value.decode("ascii").strip() if value.isalnum() else ""
        return NewValue(Action.DUMMY, value, shown)

    def _uid(self, decision: Decision, raw: bytes, character_set: CharacterSet) -> NewValue | None:
        old = _uids(raw)
        is_instance = names_instances(decision.keyword)
        new = "\\".join(
            self._secret.uid(uid, is_instance=is_instance or uid in self._uids) for uid in old
        )
        if new == "\\".join(old):
            return None
        return NewValue(Action.UID, _padded(new.encode("ascii", "replace"), "UI"), new)

    def _shifted(
        self, decision: Decision, raw: bytes, character_set: CharacterSet
    ) -> NewValue | None:
        text = raw.decode("latin-1").rstrip(" \0")
        new = shift(text, decision.vr, self._patient.day_shift)
        if new is None:
            return self.fallback(decision, raw, character_set)
        return self.written(new, Action.SHIFT, decision, character_set)

    def _cleaned(
        self, decision: Decision, raw: bytes, character_set: CharacterSet
    ) -> NewValue | None:
        text = character_set.decoder.decode(raw)
        one = decision.vr in _ONE_TEXT_VRS
        values = [text] if one else text.split("\\")
        cleaned = [self._clean(value, decision.keyword, decision.vr)[0] for value in values]
        if cleaned == values:
            return None
        if decision.vr in _WHOLE_VRS:
            return self.fallback(decision, raw, character_set)
        most = _MOST_CHARACTERS.get(decision.vr)
        cleaned = [value if most is None else value[:most].rstrip() for value in cleaned]
        if not any(cleaned):
            return self.fallback(decision, raw, character_set)
        return self.written("\\".join(cleaned), Action.CLEAN, decision, character_set)

    def _pseudonym(
        self, decision: Decision, raw: bytes, character_set: CharacterSet
    ) -> NewValue | None:
        is_name = decision.keyword == _PATIENT_NAME  # whatever VR it came with
        text = self._patient.patient_name if is_name else self._patient.patient_id
        return self.written(text, Action.PSEUDONYM, decision, character_set)

    def _rounded(
        self, decision: Decision, raw: bytes, character_set: CharacterSet
    ) -> NewValue | None:
        text = raw.decode("latin-1").strip(" \0")
        new = cap_age(text)
        if new is None:
            return self.fallback(decision, raw, character_set)
        return None if new == text else self.written(new, Action.ROUND, decision, character_set)

    def _refused(self, decision: Decision, raw: bytes, character_set: CharacterSet) -> NewValue:
        raise ObjectRefused(f"{decision.keyword or 'an element'} is refused ({decision.rule})")

    def _hashed(self, decision: Decision, raw: bytes, character_set: CharacterSet) -> NewValue:
        text = character_set.decoder.decode(raw)
        return self.written(self._secret.digest(text), Action.HASH, decision, character_set)


def _is_date(vr: str, raw: bytes) -> bool:
    """Whether a value that is kept as it is has the form of its VR, and nothing else in it."""
    text = raw.decode("latin-1").rstrip(" \0")
    if vr == "TM":
        return is_time(text)
    if vr == "AS":
        return cap_age(text) is not None
    return vr not in DATE_VRS or shift(text, vr, 0) is not None


def _uids(raw: bytes) -> list[str]:
    return [uid.strip(" \0") for uid in raw.decode("latin-1").split("\\")]


def _padded(value: bytes, vr: str) -> bytes:
    return value + (b"\0" if vr == "UI" else b" ") * (len(value) % 2)
