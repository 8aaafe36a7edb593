"""What to look for when a person's name must not be found (PN, PS3.5 6.2.1)."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

from isocenter.core.deid.text.matching import LONG_TERM, Term, fold, spellings, tokens_of

_COMPONENTS = 5
_WORDS = re.compile(r"[\s,;/\\]+")
_HYPHENS = re.compile(r"[-\u2010-\u2015]+")

#: Titles and degrees; what stands with them is a name.
TITLES = frozenset(
    """
    aerztin arzt assistenzarzt bsc chefarzt dds dipl dmd do doctor doktor don dona doutor
    doutora doz dr dra drs em esq facr fr fracr frau frcr habil herr herrn ii iii ing iv jr
    junior lady mba mbbs md med medica medico mfa miss mister mr mrs ms msc mta mtra nat np
    nurse oberaerztin oberarzt pa pd pfleger phd priv prof profesor profesora professor
    professora rer rn rt schwester senhor senhora senior senor senora sir sr sra srta univ
    """.split()  # noqa: SIM905
)

#: Parts of names that are nobody's.
_PARTICLES = frozenset(
    """
    abu and ben bin binti dalla das degli del della delle dello den der des die dos ibn ten ter
    und van vom von zum zur
    """.split()  # noqa: SIM905
)

#: What stands in a name where nobody's name is.
_NO_NAMES = frozenset(
    """
    admin administrador administrator anonimizado anonym anonymisation anonymised anonymisiert
    anonymizado anonymization anonymized anonymous bediener blank default deidentified demo
    desconhecido desconocido dummy empty example name noname none null operador operator
    operators paciente pat patient patients phantom physician physicians physicist physics
    physik proband pseudonym pseudonymous radiologe radiologist radiologo removed research
    sample service study subject tech technician technologist tecnica tecnico test testing
    unbekannt unknown unspecified user usuario volunteer
    """.split()  # noqa: SIM905
)


def is_no_name(text: str) -> bool:
    """Whether a value stands for nobody: ``Anonymous``, ``unknown``, or nothing at all."""
    tokens = tokens_of(unicodedata.normalize("NFC", text))
    return all(token.folded in _NO_NAMES for token in tokens)


def name_terms(value: str) -> set[Term]:
    """Terms of one PN value: its parts, and short ones together with their neighbours.

    Prefixes, suffixes and titles are left out, and so are particles and what stands for nobody.
    """
    terms: set[Term] = set()
    for group in value.split("="):
        components = group.split("^")[:_COMPONENTS]
        components += [""] * (_COMPONENTS - len(components))
        family, given, middle = components[:3]
        words = [word for part in (family, given, middle) for word in _WORDS.split(part)]
        words += [word for part in components[3:] for word in _WORDS.split(part)]
        for word in words:
            terms |= _part_terms(word)
        terms |= _together(family, given)
        if "^" not in group:  # "Doe, John" or "John Doe" in the first component
            parts = [word for word in words if _is_part(word)]
            for first, second in pairwise(parts):
                terms |= _together(first, second)
    return terms


def _is_part(word: str) -> bool:
    tokens = [token.folded for token in tokens_of(unicodedata.normalize("NFC", word))]
    return bool(tokens) and not all(
        token in TITLES
        or token in _PARTICLES
        or token in _NO_NAMES
        or (token.isdigit() and len(token) < LONG_TERM)
        for token in tokens
    )


def _part_terms(word: str) -> set[Term]:
    if not _is_part(word):
        return set()
    # With digits in it a word is the number of a subject: "LUNG1" makes no name of the lung.
    is_number = any(letter.isdigit() for letter in word)
    return {
        Term("name", tokens, strong=not (is_number and _is_long_word(tokens)))
        for tokens in _readings(word)
        if sum(map(len, tokens)) > 1
    }


def _is_long_word(tokens: tuple[str, ...]) -> bool:
    return len(tokens) == 1 and len(tokens[0]) >= LONG_TERM and tokens[0].isalpha()


def _readings(text: str) -> set[tuple[str, ...]]:
    """Token sequences for a name of several parts: all of it, in one word, and each part."""
    text = unicodedata.normalize("NFC", text)
    readings = set(spellings(text))
    for part in _HYPHENS.split(text):  # "O'Doe-Roe" is ODoe, too
        if len(part) > 1 and _is_part(part):
            readings |= spellings(part)
    readings |= {("".join(tokens),) for tokens in readings}
    for token in tokens_of(text):
        part = text[token.start : token.end]
        if len(part) > 1 and _is_part(part):
            readings |= spellings(part)
    return readings


def _together(family: str, given: str) -> set[Term]:
    """Family and given name in either order, apart and in one word, and with an initial."""
    families = _readings(family) if _is_part(family) else set()
    givens = _readings(given) if _is_part(given) else set()
    terms: set[Term] = set()
    for one in families:
        for other in givens:
            initial = (other[0][:1],)
            terms.update(
                (
                    Term("name", one + other),
                    Term("name", other + one),
                    Term("name", ("".join(one + other),)),
                    Term("name", ("".join(other + one),)),
                    Term("name", ("".join(one + initial),)),
                    Term("name", ("".join(initial + one),)),
                )
            )
    return {
        term
        for term in terms
        if term.size >= LONG_TERM and fold("".join(term.tokens)) not in _NO_NAMES
    }
