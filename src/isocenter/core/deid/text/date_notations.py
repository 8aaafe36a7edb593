"""Dates as people write them: found in text, with the days that they can mean.

``03/04/2004`` is two days, and ``1.2.04`` four: whoever asks decides whether one of them matters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

# Folded, without the dot of an abbreviation: English, German, Spanish, Portuguese, French, Italian,
# Dutch.
_MONTHS: dict[str, int] = {
    name: number
    for number, names in enumerate(
        (
            "january januar jänner enero janeiro janvier gennaio januari jan ene gen janv jän",
            "february februar feber febrero fevereiro février febbraio februari feb fev fév févr",
            "march märz marzo março mars maart mar mär mrz mrt",
            "april abril avril aprile apr abr avr",
            "may mai mayo maio maggio mei mag",
            "june juni junio junho juin giugno jun giu",
            "july juli julio julho juillet luglio jul juil lug",
            "august agosto août augustus aug ago aoû",
            "september septiembre setembro septembre settembre sep sept set",
            "october oktober octubre outubro octobre ottobre oct okt out ott",
            "november noviembre novembro novembre nov",
            "december dezember diciembre dezembro décembre dicembre dec dez dic déc",
        ),
        start=1,
    )
    for name in names.split()
}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DIGITS = re.compile(r"(?<![0-9])[0-9]{6,20}(?![0-9])")
_SEPARATED = re.compile(  # not within a UID or a version
    r"(?<![0-9])(?<![0-9]\.)"
    r"(?:(?P<y>[12][0-9]{3})(?P<s>[-./ _])(?P<m>[0-9]{1,2})(?P=s)(?P<d>[0-9]{1,2})"
    r"|(?P<a>[0-9]{1,2})(?P<t>[-./ _]|\. )(?P<b>[0-9]{1,2})(?P=t)(?P<c>[12][0-9]{3}|[0-9]{2}))"
    r"(?![0-9])(?!\.[0-9])"
)
_GAP = r"[\s\-/.,_]*"
_OF = r"(?:(?:de|of|del|do)\s+)?"
_YEAR = r"(?P<{}>[12][0-9]{{3}}|'?[0-9]{{2}})(?![0-9])"
_NAMED = re.compile(
    rf"(?<![0-9])(?P<d1>[0-9]{{1,2}})(?:st|nd|rd|th|er|[ºª°])?{_GAP}{_OF}(?P<m1>{_MONTH})"
    rf"(?![^\W\d_]){_GAP}{_OF}{_YEAR.format('y1')}"
    rf"|(?<![^\W\d_])(?P<m2>{_MONTH})(?![^\W\d_]){_GAP}(?P<d2>[0-9]{{1,2}})(?:st|nd|rd|th)?"
    rf"[\s\-/.,_]+{_YEAR.format('y2')}"
    rf"|(?<![0-9])(?P<y3>[12][0-9]{{3}}){_GAP}(?P<m3>{_MONTH})(?![^\W\d_]){_GAP}"
    r"(?P<d3>[0-9]{1,2})(?![0-9])",
    re.IGNORECASE,
)
_EAST_ASIAN = re.compile(
    r"(?<![0-9])([12][0-9]{3})\s*[年년]\s*([0-9]{1,2})\s*[月월]\s*([0-9]{1,2})\s*[日일]?"
)
_A_DIGIT = re.compile(r"[0-9]")
_A_MONTH = re.compile("|".join(sorted({name[:3] for name in _MONTHS})), re.IGNORECASE)
_WIDE = str.maketrans("／．－＿，　", "/.-_, ")  # as they are typed among Chinese characters
_A_WIDE = re.compile(r"(?![0-9])\d|[／．－＿，　]")
# Digits of a date with a time behind it (PS3.5 6.2, DT), without separators.
_WITH_TIME = frozenset((10, 12, 14, 16, 17, 18, 20))


class WrittenDate(NamedTuple):
    """A date in a text: where, and the days that it can mean, as ``YYYYMMDD``."""

    start: int
    end: int
    days: frozenset[str]


def written_dates(text: str, *, six_digits: bool = True) -> Iterator[WrittenDate]:
    """Everything in ``text`` that reads as a day of a year.

    Args:
        text: NFC.
        six_digits: six digits in a row can be a date too (``040115``).
    """
    if _A_WIDE.search(text) is not None:
        text = _in_ascii_digits(text)
    if _A_DIGIT.search(text) is None:
        return
    for match in _DIGITS.finditer(text):
        days = _run(match.group(), six_digits)
        if days:
            yield WrittenDate(match.start(), match.end(), days)
    for match in _SEPARATED.finditer(text):
        if match["y"]:
            days = _days((match["y"], match["m"], match["d"]), (match["y"], match["d"], match["m"]))
        else:
            years, a, b = _years(match["c"]), match["a"], match["b"]
            days = _days(*((year, *pair) for year in years for pair in ((a, b), (b, a))))
            if len(match["c"]) == 2:
                days |= _days(*((year, b, match["c"]) for year in _years(a.zfill(2))))
        if days:
            yield WrittenDate(match.start(), match.end(), days)
    if _A_MONTH.search(text) is not None:
        yield from _named(text)
    if "年" in text or "년" in text:
        for match in _EAST_ASIAN.finditer(text):
            days = _days((match[1], match[2], match[3]))
            if days:
                yield WrittenDate(match.start(), match.end(), days)


def _in_ascii_digits(text: str) -> str:
    """The text with the digits and separators of other scripts as those of ASCII, as long as it."""
    return "".join(
        str(unicodedata.decimal(letter)) if letter.isdecimal() else letter
        for letter in text.translate(_WIDE)
    )


def _named(text: str) -> Iterator[WrittenDate]:
    """With the month as a word."""
    for match in _NAMED.finditer(text):
        number = next(n for n in "123" if match["m" + n])
        month = str(_MONTHS[match["m" + number].lower()])
        years = _years(match["y" + number].lstrip("'"))
        days = _days(*((year, month, match["d" + number]) for year in years))
        if days:
            yield WrittenDate(match.start(), match.end(), days)


def _run(digits: str, six_digits: bool) -> frozenset[str]:
    """The days that a run of digits can mean."""
    if len(digits) == 8:
        a, b, c, d = digits[:4], digits[4:6], digits[6:], digits[4:]
        e, f = digits[:2], digits[2:4]
        return _days((a, b, c), (d, f, e), (d, e, f))
    if len(digits) == 6 and six_digits:
        a, b, c = digits[:2], digits[2:4], digits[4:]
        return _days(
            *((year, b, c) for year in _years(a)),
            *((year, *pair) for year in _years(c) for pair in ((a, b), (b, a))),
        )
    if len(digits) in _WITH_TIME:
        return _days((digits[:4], digits[4:6], digits[6:8]))
    return frozenset()


def _years(text: str) -> tuple[str, ...]:
    return (text,) if len(text) == 4 else (f"19{text}", f"20{text}")


def _days(*parts: tuple[str, str, str]) -> frozenset[str]:
    """``YYYYMMDD`` of the parts (year, month, day) that are a day between 1800 and 2199."""
    return frozenset(
        f"{int(year):04}{int(month):02}{int(day):02}"
        for year, month, day in parts
        if _is_day(int(year), int(month), int(day))
    )


def _is_day(year: int, month: int, day: int) -> bool:
    if not (1800 <= year < 2200 and 1 <= month <= 12 and 1 <= day <= 31):
        return False
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
