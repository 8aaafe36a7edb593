"""Matching texts (PS3.4 C.2.2.2), read and checked; no SQL here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from isocenter.apps.archive.search.attributes import Attribute
from isocenter.apps.archive.search.question import QuestionError, name_of
from isocenter.apps.archive.search.tokens import Literal
from isocenter.core.dicom.folding import fold

#: Most alternatives of one key, and letters of one; more is no question that anybody has.
MOST_ALTERNATIVES = 1_000
MOST_LETTERS = 1_024

_WILD = re.compile(r"([*?])")
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_ODD_UID = re.compile(r"[^*?\s]{1,255}")
_DATE = re.compile(r"(\d{4})(?:(\d{2})(\d{2})|\.(\d{2})\.(\d{2}))")
_TIME = re.compile(r"(\d{2})(?::?(\d{2})(?::?(\d{2})(?:\.(\d{1,6}))?)?)?")
_NUMBER = re.compile(r"[+-]?\d{1,10}")
_AROUND_CARET = re.compile(r"\s*\^\s*")
_TRAILING = re.compile(r"(\^\**)+$")


@dataclass(frozen=True)
class Pattern:
    """A text with wild cards: literal parts, and ``*`` and ``?`` between them.

    Attributes:
        parts: literals at even places (some empty), wild cards at odd ones.
    """

    parts: tuple[str, ...]

    @property
    def is_exact(self) -> bool:
        return len(self.parts) == 1

    @property
    def is_open(self) -> bool:
        """Whether anything may follow."""
        return self.parts[-2:] == ("*", "")

    @property
    def is_universal(self) -> bool:
        return not any(self.parts[::2]) and "?" not in self.parts[1::2]

    @property
    def text(self) -> str:
        """As it is written."""
        return "".join(self.parts)

    @property
    def like(self) -> str:
        """As SQL's LIKE has it, with ``\\`` before what would be a wild card there."""
        signs = {"*": "%", "?": "_"}
        return "".join(
            signs[part] if index % 2 else re.sub(r"([%_\\])", r"\\\1", part)
            for index, part in enumerate(self.parts)
        )

    def literals(self) -> Iterator[Literal]:
        """Literal parts; the whole text begins and ends a word."""
        last = len(self.parts) - 1
        for index in range(0, len(self.parts), 2):
            if self.parts[index]:
                yield Literal(self.parts[index], begins=index == 0, ends=index == last)


@dataclass(frozen=True)
class NamePattern:
    """A person's name that is looked for (PS3.5 6.2.1).

    Components that are not given, or empty, match anything, also none.

    Attributes:
        groups: a pattern per component group; None where it is not given.
        anywhere: there is one pattern, and any of the groups may match it.
    """

    groups: tuple[Pattern | None, ...]
    anywhere: bool


@dataclass(frozen=True)
class Span:
    """From one value to another, both included; empty: open. As the index compares them: dates of
    8 digits, times of 12 (``HHMMSSFFFFFF``)."""

    first: str
    last: str
    is_range: bool


def pattern(text: str, folding: Callable[[str], str] | None = None) -> Pattern:
    """Read wild cards.

    Args:
        folding: applied to each literal part; spaces at its ends that stand beside a wild card
            stay, as one.
    """
    parts = _WILD.split(text)
    if folding is None:
        return Pattern(tuple(parts))
    last = len(parts) - 1
    folded = list(parts)
    for index in range(0, len(parts), 2):
        part = parts[index]
        before = " " if index and part[:1].isspace() else ""
        after = " " if index < last and part[-1:].isspace() and part.strip() else ""
        folded[index] = f"{before}{folding(part)}{after}"
    return Pattern(tuple(folded))


def normal_name(text: str) -> str:
    """A person's name as the search table has it: folded, without what may be left out at the end
    of components, of component groups and of the name."""
    return "=".join(normal_group(fold(group)) for group in text.split("=")[:3]).rstrip("=")


def normal_group(text: str) -> str:
    """A component group without spaces around and empty components behind."""
    return _AROUND_CARET.sub("^", text.strip()).rstrip("^").strip()


def name_pattern(text: str) -> NamePattern:
    """Read a person's name with wild cards."""
    groups = text.split("=")[:3]
    patterns = tuple(_group_pattern(group) for group in groups)
    return NamePattern(patterns, anywhere=len(groups) == 1)


def _group_pattern(text: str) -> Pattern | None:
    text = _TRAILING.sub("", _AROUND_CARET.sub("^", text.strip()))
    components = [component or "*" for component in text.split("^")]
    read = pattern("^".join(components), fold)
    return None if read.is_universal or not text else read


def alternatives(attribute: Attribute, text: str) -> list[str]:
    """The alternatives of a key; none where it matches everything.

    Raises:
        QuestionError: there are too many, or one is too long.
    """
    found = [part.strip(" \0") for part in text.split("\\")]
    found = list(dict.fromkeys(part for part in found if part))
    if any(not part.strip("*") for part in found):
        return []
    if len(found) > MOST_ALTERNATIVES:
        raise wrong(attribute, f"more than {MOST_ALTERNATIVES} values")
    if any(len(part) > MOST_LETTERS for part in found):
        raise wrong(attribute, f"a value of more than {MOST_LETTERS} characters")
    return found


def uid(attribute: Attribute, text: str) -> str:
    """A UID; those that are none by PS3.5 9.1 but are in some archives can be asked for too.

    Raises:
        QuestionError: a wild card, or spaces.
    """
    if not _UID.fullmatch(text) and not _ODD_UID.fullmatch(text):
        raise wrong(attribute, "a UID has no wild cards and no spaces")
    return text


def number(attribute: Attribute, text: str) -> int:
    """A whole number.

    Raises:
        QuestionError: it is none.
    """
    if not _NUMBER.fullmatch(text):
        raise wrong(attribute, "no whole number")
    return int(text)


def date_span(attribute: Attribute, text: str) -> Span:
    """A date or a range of dates (PS3.4 C.2.2.2.5.1).

    Raises:
        QuestionError: no date, no range, or one that ends before it begins.
    """
    return _span(attribute, text, lambda part: (_date(part),) * 2, "YYYYMMDD-YYYYMMDD")


def time_span(attribute: Attribute, text: str) -> Span:
    """A time or a range of times (PS3.4 C.2.2.2.5.2). A time without minutes is that whole hour.

    Raises:
        QuestionError: no time, no range, or one that ends before it begins.
    """
    return _span(attribute, text, _time, "HHMMSS-HHMMSS")


def _span(
    attribute: Attribute, text: str, read: Callable[[str], tuple[str, str]], form: str
) -> Span:
    first, is_range, last = (part.strip() for part in text.partition("-"))
    try:
        from_ = read(first)[0] if first else ""
        to = (read(last)[1] if last else "") if is_range else read(first)[1]
    except ValueError:
        raise wrong(attribute, f"no value of VR {attribute.vr} and no range {form}") from None
    if not (from_ or to):
        raise wrong(attribute, "a range needs a beginning or an end")
    if from_ and to and to < from_:
        raise wrong(attribute, "the range ends before it begins")
    return Span(from_, to, bool(is_range))


def days_of(span: Span, most: int) -> list[str]:
    """The days of a span of dates; none where it is open or longer than so many."""
    if not (span.first and span.last):
        return []
    first, last = date.fromisoformat(span.first), date.fromisoformat(span.last)
    count = (last - first).days + 1
    if count > most:
        return []
    every = (first + timedelta(days=number) for number in range(count))
    return [day.isoformat().replace("-", "") for day in every]


def _date(text: str) -> str:
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError
    digits = "".join(part for part in found.groups() if part)
    date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    return digits


def _time(text: str) -> tuple[str, str]:
    """The first and the last moment that a time of this precision can be."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError
    hours, minutes, seconds, fraction = found.groups()
    if int(hours) > 23 or int(minutes or 0) > 59 or int(seconds or 0) > 60:
        raise ValueError
    digits = f"{hours}{minutes or ''}{seconds or ''}{fraction or ''}"
    return digits.ljust(12, "0"), digits.ljust(12, "9")


def stored_date(text: str) -> str:
    """A stored date as it is compared; empty when it is none."""
    try:
        return _date(text.strip())
    except ValueError:
        return ""


def stored_time(text: str) -> str:
    """A stored time as it is compared, missing parts being zero; empty when it is none."""
    try:
        return _time(text.strip())[0]
    except ValueError:
        return ""


def wrong(attribute: Attribute, what: str) -> QuestionError:
    """The error of a key."""
    return QuestionError(
        f"the key {name_of(attribute.tag) or attribute.keyword} cannot be matched: {what}",
        hint="PS3.4 C.2.2.2 says what matching texts look like",
    )
