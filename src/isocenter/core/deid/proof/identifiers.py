"""What identifies a study: collected from all its objects before anything is changed.

Names, numbers, addresses, dates and UIDs are taken from the attributes that hold them, at every
depth; free text is not taken apart here, it is cleaned with what was found elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from unicodedata import normalize

from isocenter.core.deid.dataset.values import Value, read_values
from isocenter.core.deid.policy import DEFAULT_POLICY, Option, Policy
from isocenter.core.deid.proof.identifying_tags import CLASS_UIDS, KINDS
from isocenter.core.deid.standard.dictionary import attribute, value_representation
from isocenter.core.deid.standard.standard_uids import is_standard_uid, names_instances
from isocenter.core.deid.text.concepts import IDENTIFYING_CONCEPTS
from isocenter.core.deid.text.date_notations import written_dates
from isocenter.core.deid.text.matching import LONG_TERM, Matcher, Term, fold, spellings, tokens_of
from isocenter.core.deid.text.names import is_no_name, name_terms
from isocenter.core.deid.text.number_forms import post_codes, without_zeros

_BINARY_VRS = frozenset(
    ("AT", "FD", "FL", "OB", "OD", "OF", "OL", "OV", "OW", "SL", "SS", "SV", "UL", "UN", "US", "UV")
)
_OF_THEMSELVES = frozenset(("DA", "DT", "PN", "UI"))  # their values need no attribute to say it
_IS_UID = re.compile(rb"[0-9.\\ \0]*[0-9]\.[0-9][0-9.\\ \0]*").fullmatch
# Patient's birth and death date in alternative calendar (PS3.3 C.7.1.1).
_OTHER_CALENDARS = frozenset((0x00100033, 0x00100034))
_OF_BIRTH = frozenset((0x00100030, 0x00100033))
_DAY = re.compile(r"(?:1[89]|2[01])[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])")
_WORDS = re.compile(r"[\W\d_]+")
_OF_STREETS = frozenset(  # words of addresses that are nobody's
    """
    street road avenue lane drive boulevard square court place suite floor apartment building
    house north south east west upper lower city county state strasse platz allee gasse haus
    stock hinterhof calle avenida plaza piso puerta barrio ciudad provincia rua praca bairro
    andar bloco cidade estado rue place chemin etage ward room zimmer station clinic hospital
    klinik department
    """.split()  # noqa: SIM905
)
_PIECES = re.compile(r"[\r\n,;^\\=]+")

_KIND_OF = {tag: kind for kind, tags in KINDS.items() for tag in tags}
#: Kinds that are people's: no option retains them.
OF_PEOPLE = frozenset(("name", "id", "address", "phone"))
# Accession numbers are searched for as any ``id``, but they number requests: a site may keep them.
_ACCESSION = "accession"
_ACCESSION_TAGS = frozenset((0x00080050, 0x0040050A))
_ACCESSION_CONCEPTS = frozenset(("121022", "121040"))  # of PS3.16 annex D
_NUMBERED = frozenset(("id", "order"))
# Letters and digits of a number that is looked for without its separators, too: shorter ones, and
# those of digits alone that are no longer than a date, are other things as well.
_LEAST_JOINED, _LEAST_DIGITS = 6, 9
# What a device says of its own make; a device's name that only says this identifies none.
_VOCABULARY = frozenset((0x00080060, 0x00080070, 0x00081090, 0x00181020, 0x00081018))
_CONCEPT_CODES = (0x00080100, 0x00080119)
_CONCEPT_NAME = "(0040,A043)[1]/"
_TEXT_VALUE = 0x0040A160


@dataclass(frozen=True)
class Identifiers:
    """What identifies a study, as its attributes wrote it; small enough to go between processes.

    Attributes:
        names: PN values (PS3.5 6.2.1).
        texts: (kind, value) of identifiers that are text; kinds as in :data:`KINDS`, and
            ``accession`` for an ``id`` that is an accession number.
        days: every date, ``YYYYMMDD``.
        birth_days: those of birth.
        uids: every UID that is not of the standard and names no class of objects.
        encoded: names as bytes, where they are not ASCII: to be found in what cannot be decoded.
        vocabulary: folded values that say the make of the equipment.
    """

    names: frozenset[str] = frozenset()
    texts: frozenset[tuple[str, str]] = frozenset()
    days: frozenset[str] = frozenset()
    birth_days: frozenset[str] = frozenset()
    uids: frozenset[str] = frozenset()
    encoded: frozenset[bytes] = frozenset()
    vocabulary: frozenset[str] = frozenset()

    @classmethod
    def merged(cls, parts: Iterable[Identifiers]) -> Identifiers:
        """All of several."""
        collected: dict[str, set[object]] = {field.name: set() for field in fields(cls)}
        for part in parts:
            for name, together in collected.items():
                together.update(getattr(part, name))
        return cls(**{name: frozenset(values) for name, values in collected.items()})  # type: ignore[arg-type]

    def terms(self, policy: Policy = DEFAULT_POLICY) -> frozenset[Term]:
        """Everything to look for in text but dates, UIDs and telephone numbers.

        Args:
            policy: what its options retain is not looked for.
        """
        kept = _kept_kinds(policy)
        terms: set[Term] = set()
        for name in self.names:
            terms |= name_terms(name)
        for kind, text in self.texts:
            if kind not in kept:
                terms.update(self._text_terms("id" if kind == _ACCESSION else kind, text))
        return frozenset(terms)

    def of_people(self) -> Identifiers:
        """What identifies people themselves, which no rule of a site lets out.

        Names, numbers, addresses, telephone numbers, days of birth.
        """
        texts = frozenset(text for text in self.texts if text[0] in OF_PEOPLE)
        return replace(self, texts=texts, days=self.birth_days, uids=frozenset())

    def phones(self) -> frozenset[str]:
        """The digits of telephone numbers."""
        return frozenset(
            re.sub(r"\D", "", part)
            for kind, text in self.texts
            if kind == "phone"
            for part in re.split(r"[\\;,\r\n]", text)
        )

    def matcher(
        self, policy: Policy = DEFAULT_POLICY, *, days: frozenset[str] | None = None
    ) -> Matcher:
        """Looks for all this in text.

        Args:
            policy: what its options retain is not looked for.
            days: in place of those that the policy removes.
        """
        if days is None:
            days = self.birth_days if policy.dates == "keep" else self.days
        return Matcher(
            self.terms(policy),
            days=days,
            uids=() if Option.RETAIN_UIDS in policy.options else self.uids,
            phones=self.phones(),
        )

    def _text_terms(self, kind: str, text: str) -> Iterator[Term]:
        strong = kind in OF_PEOPLE
        for part in text.split("\\"):
            pieces = [part]
            if kind in ("address", "institution"):
                pieces += _PIECES.split(part)
            if kind == "address":
                pieces += [word for word in _WORDS.split(part) if fold(word) not in _OF_STREETS]
                pieces += post_codes(part)
            for piece in pieces:
                yield from self._piece_terms(kind, piece, strong)

    def _piece_terms(self, kind: str, piece: str, strong: bool) -> Iterator[Term]:
        if is_no_name(piece):
            return
        of_make = fold(piece.strip()) in self.vocabulary
        ways = spellings(piece)
        if kind in _NUMBERED:
            ways |= _joined(ways)
            ways |= without_zeros(ways)
        for tokens in ways:
            term = Term(kind, tokens, strong)
            if of_make and (kind == "device" or term.size < LONG_TERM):
                continue  # a station is called as its model, a phantom "CT": both identify nobody
            if term.size >= (LONG_TERM if kind != "id" else 1):
                yield term


def _joined(ways: set[tuple[str, ...]]) -> set[tuple[str, ...]]:
    """Numbers without what is between their parts: ``QX4711-88`` is ``QX471188`` elsewhere."""
    texts = {"".join(tokens) for tokens in ways if len(tokens) > 1}
    return {
        tuple(token.folded for token in tokens_of(text))
        for text in texts
        if len(text) >= (_LEAST_DIGITS if text.isdigit() else _LEAST_JOINED)
    }


def _kept_kinds(policy: Policy) -> set[str]:
    kept = set()
    if Option.RETAIN_INSTITUTION_IDENTITY in policy.options:
        kept.add("institution")
    if Option.RETAIN_DEVICE_IDENTITY in policy.options:
        kept.add("device")
    return kept


def collect(paths: Iterable[Path]) -> Identifiers:
    """What identifies the study that these files are.

    Raises:
        DicomError: a file is broken.
        OSError: a file cannot be read.
    """
    return Identifiers.merged(identifiers_of(read_values(path).values) for path in paths)


def identifiers_of(values: Iterable[Value]) -> Identifiers:
    """What identifies in one object."""
    collector = _Collector()
    for value in values:
        collector.add(value)
    return collector.result()


class _Collector:
    def __init__(self) -> None:
        self._found: dict[str, set[object]] = {field.name: set() for field in fields(Identifiers)}
        self._concepts: dict[str, str] = {}  # path of a content item → its concept

    def result(self) -> Identifiers:
        return Identifiers(**{name: frozenset(v) for name, v in self._found.items()})  # type: ignore[arg-type]

    def add(self, value: Value) -> None:
        """Take what a value says by the attribute's meaning (PS3.6), and by the VR it came with."""
        if not value.raw:
            return
        meant = value_representation(value.tag)
        self._add_by_vr(value.vr, value)
        if meant != value.vr:
            self._add_misread(meant, value)
        if value.tag in _KIND_OF:
            if meant != "UI" and _is_written(value):
                self._add_text(_KIND_OF[value.tag], value)
        elif value.tag in _OTHER_CALENDARS:
            self._add_other_calendar(value)
        elif value.vr not in _OF_THEMSELVES:
            self._add_said(value)

    def _add_by_vr(self, vr: str, value: Value) -> None:
        if vr == "UI":
            if value.tag not in CLASS_UIDS:
                self._add_uids(value)
        elif vr in ("DA", "DT"):
            self._add_days(value)
        elif vr == "PN":
            self._add_name(value)

    def _add_misread(self, meant: str, value: Value) -> None:
        """A value by the VR that it should have been written with."""
        if meant in ("DA", "DT") and value.vr not in ("DA", "DT"):
            self._add_written_days(value)
        elif (meant == "PN" and _is_written(value)) or (meant == "UI" and _IS_UID(value.raw)):
            self._add_by_vr(meant, value)

    def _add_said(self, value: Value) -> None:
        """What a content item says of its subject, and what a device says of itself."""
        tag = value.tag
        if tag in _CONCEPT_CODES and value.sequences.endswith(_CONCEPT_NAME):
            item = value.sequences.removesuffix(_CONCEPT_NAME)
            self._concepts[item] = value.decoder.decode(value.raw)
        elif tag == _TEXT_VALUE:
            concept = self._concepts.get(value.sequences, "")
            kind = IDENTIFYING_CONCEPTS.get(concept)
            if concept in _ACCESSION_CONCEPTS:
                kind = _ACCESSION
            if kind == "name":
                self._add_name(value)
            elif kind is not None and kind != "date":
                self._add_text(kind, value)
        elif tag in _VOCABULARY:
            self._found["vocabulary"].add(fold(value.decoder.decode(value.raw)))

    def _add_uids(self, value: Value) -> None:
        is_instance = not value.private and names_instances(attribute(value.tag).keyword)
        for text in value.raw.decode("latin-1").split("\\"):
            uid = text.strip(" \0")
            if uid and not is_standard_uid(uid, is_instance=is_instance):
                self._found["uids"].add(uid)

    def _add_days(self, value: Value) -> None:
        for text in value.raw.decode("latin-1").split("\\"):
            day = text.strip(" \0").replace(".", "").replace("-", "")[:8]
            if _DAY.fullmatch(day):
                self._add_day(day, value.tag)

    def _add_written_days(self, value: Value) -> bool:
        """Dates in a text of whatever form; whether there are any."""
        found = [day for one in written_dates(_text_of(value)) for day in one.days]
        for day in found:
            self._add_day(day, value.tag)
        return bool(found)

    def _add_day(self, day: str, tag: int) -> None:
        self._found["days"].add(day)
        if tag in _OF_BIRTH:
            self._found["birth_days"].add(day)

    def _add_other_calendar(self, value: Value) -> None:
        """A date by Gregorian years where it has them, otherwise what it says, as it is."""
        if not self._add_written_days(value) and _is_written(value):
            self._add_text("id", value)

    def _add_name(self, value: Value) -> None:
        for name in value.decoder.decode(value.raw).split("\\"):
            if tokens_of(name):
                self._found["names"].add(name.strip())
        if not value.raw.isascii() or b"\x1b" in value.raw:
            for piece in re.split(rb"[\\^=]", value.raw):
                part = piece.strip(b" \0")
                if len(part) >= LONG_TERM and not (part.isascii() and b"\x1b" not in part):
                    self._found["encoded"].add(part)

    def _add_text(self, kind: str, value: Value) -> None:
        text = _text_of(value)
        if value.tag in _ACCESSION_TAGS:
            kind = _ACCESSION
        if tokens_of(text):
            self._found["texts"].add((kind, text))


def _text_of(value: Value) -> str:
    return normalize("NFC", value.decoder.decode(value.raw).strip())


def _is_written(value: Value) -> bool:
    """Whether a value can be text: binary VRs hold numbers as well."""
    return value.vr not in _BINARY_VRS or " ".join(_text_of(value).split()).isprintable()
