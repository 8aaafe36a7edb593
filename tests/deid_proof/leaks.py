"""Searches a whole output set for every planted value, wherever it may have gone."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from deid_proof.answers import Answered
from deid_proof.expectations import TEXT_REMOVED, TEXT_RETAINED, UID_CHANGED
from deid_proof.reading import BULK, Read

ENCODINGS = (
    "utf-8",
    "latin-1",
    "iso8859-2",
    "iso8859-5",
    "iso8859-6",
    "iso8859-7",
    "iso8859-8",
    "shift_jis",
    "iso2022_jp",
    "euc_kr",
    "gb18030",
)
_DAY = re.compile(r"[12]\d{3}[01]\d[0-3]\d")
_NEVER = frozenset({"TM", "AS", "IS", "US", "UL", "FD", "FL", "SS", "SL"})


@dataclass(frozen=True)
class Leak:
    """A planted value that was found: where, and which."""

    where: str
    value: str


def wanted(checks: Iterable[Answered], *, dates: bool) -> set[str]:
    """Planted values long enough to be looked for anywhere; without those that may stay
    somewhere."""
    found: set[str] = set()
    staying: set[str] = set()
    for check in checks:
        text = check.text if check.action == TEXT_REMOVED else check.value
        if check.action == TEXT_RETAINED:
            staying.add(check.text)
        elif check.action in {TEXT_REMOVED, UID_CHANGED} and check.vr not in _NEVER:
            if check.vr in {"DA", "DT"} and not dates:
                continue
            found.update(part for part in text.split("\\") if _long_enough(part))
    if not dates:  # a shifted date may be equal to another one that was planted
        found = {text for text in found if not _DAY.fullmatch(text)}
    return found - staying


def _long_enough(text: str) -> bool:
    if text.isascii():
        return len(text) >= (8 if text.isdigit() else 4)
    return len(text) >= 2


class Finder:
    """Finds any of many texts in a text; the work grows with the text, not with their number."""

    def __init__(self, terms: Iterable[str]) -> None:
        self._starts: dict[str, list[str]] = defaultdict(list)
        for term in terms:
            self._starts[term[:4] if len(term) >= 4 else term[:2]].append(term)

    def find(self, text: str) -> Iterator[str]:
        """Terms in the text; numbers only where they stand alone."""
        starts = self._starts
        for position in range(len(text) - 1):
            for length in (4, 2):
                for term in starts.get(text[position : position + length], ()):
                    if text.startswith(term, position) and not _inside_number(
                        text, position, len(term)
                    ):
                        yield term


def _inside_number(text: str, position: int, length: int) -> bool:
    if not text[position : position + length].replace(".", "").isdigit():
        return False
    around = text[position - 1 : position] + text[position + length : position + length + 1]
    return any(sign.isdigit() for sign in around)


class LeakSearch:
    """Searches files of an output set."""

    def __init__(self, terms: Iterable[str]) -> None:
        terms = {term.casefold() for term in terms}
        self._decoded = Finder(terms)
        raw = set()
        for term in terms:
            for encoding in ENCODINGS if not term.isascii() else ("latin-1", "utf-16-le"):
                for form in {term, term.upper(), term.capitalize()}:
                    try:
                        encoded = form.encode(encoding)
                    except UnicodeEncodeError:
                        continue
                    if len(encoded) >= 4:
                        raw.add(encoded.decode("latin-1").lower())
        self._raw = Finder(raw)

    def in_text(self, text: str, where: str) -> Iterator[Leak]:
        """In a text, whatever it is of."""
        for term in self._decoded.find(text.casefold()):
            yield Leak(where, term)

    def in_bytes(self, data: bytes, where: str) -> Iterator[Leak]:
        """In bytes, in every character set of the set."""
        for term in self._raw.find(data.decode("latin-1").lower()):
            yield Leak(where, term)

    def in_object(self, one: Read) -> Iterator[Leak]:
        """In an object: its name, decoded text by path, then the bytes without pixels."""
        yield from self.in_text(one.name, "file name")
        seen = False
        for path, text in one.texts.items():
            if one.vrs[path] == "SQ" or any(
                f"({tag >> 16:04x},{tag & 0xFFFF:04x})" in path for tag in BULK
            ):
                continue
            for leak in self.in_text(text, path):
                seen = True
                yield leak
        if not seen:  # bytes that no element gave as text
            yield from self.in_bytes(_without_bulk(one), "bytes of the file")


def _without_bulk(one: Read) -> bytes:
    data = one.path.read_bytes()
    for tag in BULK:
        if tag in one.dataset and one.dataset[tag].value:
            data = data.replace(one.dataset[tag].value, b"")
    for group in one.dataset.get("WaveformSequence") or []:
        if "WaveformData" in group:
            data = data.replace(group.WaveformData, b"")
    return data
