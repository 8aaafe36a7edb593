"""Makes ``core/deid/data/lexicon.txt``: words of radiology that are no reason to suspect a name.

    pip install pydicom Faker
    python scripts/deid_lexicon.py

Sources: meanings of codes in ``pydicom.sr`` (DCM, SCT, LN, RADLEX, IBSI, FMA, NCIt; pydicom, MIT),
names in the DICOM dictionaries of pydicom (MIT), and the lists in ``scripts/lexicon`` that were
written for this (Apache-2.0). Given and family names, cities and
states of Faker's providers (MIT) are taken out of
what comes from pydicom: ``Young`` and ``Brown`` are words, but people too. The lists in
``scripts/lexicon`` count whatever else a word may be. A plus sign says that German joins the word
with others.
"""

from __future__ import annotations

import importlib
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LISTS = ROOT / "scripts" / "lexicon"
TARGET = ROOT / "src" / "isocenter" / "core" / "deid" / "data" / "lexicon.txt"

_SCHEMES = ("DCM", "SCT", "LN", "RADLEX", "IBSI", "FMA", "NCIt")
_LOCALES = (
    "en_US",
    "en_GB",
    "de_DE",
    "es_ES",
    "es_MX",
    "pt_BR",
    "pt_PT",
    "fr_FR",
    "it_IT",
    "nl_NL",
)
_WORD = re.compile(r"[^\W\d_]+")
_BREEDS = {
    7480,
    7481,
    7486,
}  # context groups of animals' breeds: half of them are places and people
_SHORTEST = 3  # of words that nobody chose by hand
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "æ": "ae", "œ": "oe"})


def fold(word: str) -> str:
    """As ``isocenter.core.deid.text.matching.fold`` does it."""
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    bare = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return bare.translate(_LETTERS)


def words_of(texts: Iterable[str]) -> Iterator[str]:
    """Folded words of texts."""
    for text in texts:
        for match in _WORD.finditer(unicodedata.normalize("NFC", text)):
            yield fold(match.group())


def meanings() -> Iterator[str]:
    """Code meanings of pydicom's concept dictionaries."""
    from pydicom.sr._concepts_dict import concepts

    for scheme in _SCHEMES:
        for codes in concepts[scheme].values():
            for meaning, context_groups in codes.values():
                if not _BREEDS & set(context_groups):
                    yield meaning


def attribute_names() -> Iterator[str]:
    """Names of attributes and of well-known UIDs (PS3.6)."""
    from pydicom.datadict import DicomDictionary, RepeatersDictionary
    from pydicom.uid import UID_dictionary

    for entry in (*DicomDictionary.values(), *RepeatersDictionary.values()):
        yield entry[2]
    for entry in UID_dictionary.values():
        yield entry[0]


def people() -> set[str]:
    """Given and family names, cities and states, folded."""
    found: set[str] = set()
    for locale in _LOCALES:
        found |= _listed(f"person.{locale}", ("name",))
        found |= _listed(f"address.{locale}", ("cities", "city_names", "states", "countries"))
    return found


def _listed(provider: str, wanted: tuple[str, ...]) -> set[str]:
    """Words in the lists of a provider whose names have one of the wanted parts."""
    source = importlib.import_module(f"faker.providers.{provider}").Provider
    found: set[str] = set()
    for attribute in dir(source):
        listed = getattr(source, attribute)
        is_wanted = any(part in attribute for part in wanted) and "format" not in attribute
        if is_wanted and isinstance(listed, (list, tuple, dict, set)):
            found.update(words_of(name for name in listed if isinstance(name, str)))
    return found


def by_hand(pattern: str = "*.txt") -> set[str]:
    """The words of ``scripts/lexicon``."""
    found: set[str] = set()
    for path in sorted(LISTS.glob(pattern)):
        lines = path.read_text("utf-8").splitlines()
        found.update(words_of(line for line in lines if not line.startswith("#")))
    return found


def main() -> int:
    """Write the lexicon."""
    machine = set(words_of([*meanings(), *attribute_names()]))
    machine = {word for word in machine if len(word) >= _SHORTEST} - people()
    words = sorted(machine | {word for word in by_hand() if len(word) >= 2})
    joinable = {word for word in by_hand("de.txt") if len(word) >= 4}
    TARGET.write_text("".join(f"{w}{'+' * (w in joinable)}\n" for w in words), "utf-8")
    sys.stdout.write(f"{len(words)} words, {len(machine)} of them from dictionaries\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
