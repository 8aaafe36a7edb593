"""Searches what is about to leave for everything that identified the study.

It reads the files with a reader of its own, and it knows nothing of what the engine did. Looked at
are: preamble and file meta information, the text of every element, decoded by the character set in
force and as bare bytes, UN, OB and private values as bytes, UIDs, dates, the files' names, and what
stands beside the samples of pixels: behind them, in comments and application segments. The samples
themselves, overlays, curves and waveforms are left to the pixel check.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

from isocenter.core.deid.dataset.values import Content, Value, read_values
from isocenter.core.deid.policy import DEFAULT_POLICY, Option, Policy
from isocenter.core.deid.proof.identifiers import OF_PEOPLE, Identifiers
from isocenter.core.deid.proof.identifying_tags import CLASS_UIDS
from isocenter.core.deid.proof.searching import Search, normalized, readings
from isocenter.core.deid.pseudonyms.issuing import PatientAlias
from isocenter.core.deid.standard.dictionary import attribute
from isocenter.core.deid.standard.table import Table
from isocenter.core.deid.text.lexicon import Lexicon
from isocenter.core.deid.text.matching import LONG_TERM, Span, tokens_of
from isocenter.core.deid.text.text_in_bytes import LARGE_TERM, least_term
from isocenter.core.errors import DicomError

_TEXT_VRS = frozenset(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"))
_NUMBER_VRS = frozenset(("AS", "DS", "IS", "TM"))
_BINARY_VRS = frozenset(("AT", "FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"))
_OTHER_NUMBER_VRS = frozenset(("OD", "OF", "OL", "OV", "OW"))
_NUMERIC = b"0123456789+-.eE: \\\0DWMY"
_DAY = re.compile(r"(?<![0-9])[12][0-9]{7}")
_LARGE = 1 << 16  # bytes; chance makes short terms of so many
_TOKEN_BYTES = re.compile(rb"[A-Za-z]{2,}|[0-9]{2,}")
_PREAMBLE = 128
_UID = r"2\.25\.[0-9]{20,}"
_UID_NAME = re.compile(rf"(?:{_UID}/)*{_UID}(?:\.dcm)?")
_REMEMBERED = 200_000
# Patient's Birth Date; DateTime and Date of content items, of which one is the subject's.
_MAY_BE_OF_BIRTH = frozenset((0x00100030, 0x0040A120, 0x0040A121))
#: Days that stand for no day: the engine's dummy values.
DUMMY_DAYS = frozenset(("19000101",))


class Finding(NamedTuple):
    """Something that identifies and is still there; it does not say what.

    Attributes:
        path: of the file.
        where: ``(0040,A730)[2]/(0040,A160)``, ``preamble``, ``file meta information``,
            ``file name``, or ``data set`` where the file cannot be read.
        kind: ``name``, ``id``, ``date``, ``uid``, ``address``, ``phone``, ``order``,
            ``institution``, ``device``; ``unreadable``.
    """

    path: Path
    where: str
    kind: str


@dataclass(frozen=True)
class Allowed:
    """What may stand in the output although it was in the original, because it means another.

    Attributes:
        texts: whole values: the patient's new name and number, which somebody chose.
        days: ``YYYYMMDD`` in elements that hold dates: the days that dates were shifted to.
        patient: by whose days a site's rules shift dates; what they make of the originals' days
            may stand in the elements that the rules are for. None: no rules were applied.
    """

    texts: frozenset[str] = frozenset()
    days: frozenset[str] = field(default=DUMMY_DAYS)
    patient: PatientAlias | None = None


NOTHING = Allowed()


def verify(
    paths: Iterable[Path],
    identifiers: Identifiers,
    policy: Policy = DEFAULT_POLICY,
    *,
    allowed: Allowed = NOTHING,
    root: Path | None = None,
) -> list[Finding]:
    """Search de-identified files.

    Args:
        paths: the files.
        identifiers: of the originals, all of the study.
        policy: what its options retain is not looked for.
        allowed: what is no hit.
        root: names of files and folders below it are searched; None: the file's own name.
    """
    verifier = Verifier(identifiers, policy, allowed)
    return [finding for path in paths for finding in verifier.check(path, root)]


@cache
def _retained_tags(options: frozenset[Option]) -> frozenset[int]:
    """Attributes that an option keeps as they are (PS3.15 Table E.1-1, K)."""
    return frozenset(
        tag
        for tag, entry in Table.load().attributes.items()
        if any(entry.options.get(option) == "K" for option in options)
    )


class Verifier:
    """Searches the files of one study; values that were found clean are not searched again."""

    def __init__(
        self,
        identifiers: Identifiers,
        policy: Policy = DEFAULT_POLICY,
        allowed: Allowed = NOTHING,
    ) -> None:
        self._given = identifiers, policy, allowed
        self._lexicon = Lexicon.load()
        self._matcher = identifiers.matcher(policy)
        self._search = Search(self._matcher, self._lexicon)
        terms = (term for term in identifiers.terms(policy) if term.size >= LONG_TERM)
        self._first_tokens = frozenset(
            token.encode() for term in terms for token in term.tokens[:1] if token.isascii()
        )
        encoded = sorted(identifiers.encoded, key=lambda text: (-len(text), text))
        self._encoded = re.compile(b"|".join(map(re.escape, encoded))) if encoded else None
        self._allowed = allowed
        self._keeps_dates = policy.dates == "keep"
        self._rules = policy.rules if allowed.patient is not None else None
        self._original_days = identifiers.days
        self._days_by_tag: dict[int, frozenset[str]] = {}
        self._retained = _retained_tags(policy.options)
        self._known: dict[str, frozenset[str]] = {}
        self._clean: set[tuple[int, str, bytes, tuple[str, ...]]] = set()

    def check(self, path: Path, root: Path | None = None) -> list[Finding]:
        """What is found in one file."""
        return self.check_kept(path, root, frozenset())[0]

    def check_kept(
        self, path: Path, root: Path | None, kept: Collection[str]
    ) -> tuple[list[Finding], list[Finding]]:
        """What is found in a file of which a site's rules keep some elements on purpose.

        Args:
            kept: those elements, as :attr:`Finding.where` has them.

        Returns:
            what must not leave, and what a rule excuses: never what identifies people themselves.
        """
        findings = [Finding(path, "file name", kind) for kind in self._in_name(path, root)]
        excused: list[Finding] = []
        try:
            content = read_values(path, beside_samples=True)
        except DicomError:
            return [*findings, Finding(path, "data set", "unreadable")], excused
        findings += [Finding(path, where, kind) for where, kind in self._in_head(content)]
        for value in content.values:
            key = (value.tag, value.vr, value.raw, value.decoder.encodings)
            if not value.raw or key in self._clean:
                continue
            kinds = self._in_value(value)
            if value.tag in self._retained and not value.private:
                kinds &= OF_PEOPLE
            if kinds:
                held = self._of_people(value) & kinds if value.path in kept else kinds
                findings += [Finding(path, value.path, kind) for kind in sorted(held)]
                excused += [Finding(path, value.path, kind) for kind in sorted(kinds - held)]
            elif len(self._clean) < _REMEMBERED and len(value.raw) < _LARGE:
                self._clean.add(key)
        return findings, excused

    @cached_property
    def _people(self) -> Verifier:
        """Searches for what identifies people and for nothing else."""
        identifiers, policy, allowed = self._given
        return Verifier(identifiers.of_people(), policy, allowed)

    def _of_people(self, value: Value) -> set[str]:
        """Kinds of what a value says of people; a day is one of birth where it says so, or in text:
        the study of a newborn is of the day of birth."""
        kinds = self._people._in_value(value)
        if value.vr in ("DA", "DT") and value.tag not in _MAY_BE_OF_BIRTH:
            kinds.discard("date")
        return kinds

    def _in_name(self, path: Path, root: Path | None) -> set[str]:
        name = path.relative_to(root).as_posix() if root is not None else path.name
        parts = name.removesuffix(".dcm").split("/")
        if _UID_NAME.fullmatch(name):  # UIDs share no term with each other
            return {kind for part in parts for kind in self._in_text_of_its_own(part)}
        return {span.kind for span in self._matcher.find(normalized(name))}

    def _in_text_of_its_own(self, text: str) -> frozenset[str]:
        """What a UID or a file's meta information says, which is the same in several places."""
        found = self._known.get(text)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = frozenset(span.kind for span in self._matcher.find(normalized(text)))
            self._known[text] = found
        return found

    def _in_head(self, content: Content) -> Iterator[tuple[str, str]]:
        """Preamble and group 0002."""
        head = content.head
        group = head
        if head[_PREAMBLE : _PREAMBLE + 4] == b"DICM":
            group = head[_PREAMBLE + 4 :]
            if head[:_PREAMBLE].strip(b"\0"):
                yield "preamble", "unreadable"
        uid = content.meta.sop_instance_uid
        rest = group.decode("latin-1").replace(uid, "\0") if uid else group.decode("latin-1")
        for kind in sorted(self._in_text_of_its_own(uid) | self._in_text_of_its_own(rest)):
            yield "file meta information", kind

    def _in_value(self, value: Value) -> set[str]:
        vr, raw = value.vr, value.raw
        if vr in _NUMBER_VRS and not raw.translate(None, _NUMERIC):
            if value.private:
                return self._in_private_number(raw)
            return {"id"} if vr in ("DS", "IS") and self._matcher.in_numbers(raw) else set()
        if vr == "UI" and not raw.translate(None, b"0123456789.\\ \0"):
            if value.tag in CLASS_UIDS and not value.private:
                return set()
            uids = raw.decode("ascii").split("\\")
            return (
                {"uid"} if any(self._matcher.has_uid(uid.strip(" \0")) for uid in uids) else set()
            )
        if vr in ("DA", "DT") and not raw.translate(None, b"0123456789.\\ \0+-"):
            days = _DAY.findall(raw.decode("ascii").replace(".", ""))
            return {
                "date"
                for day in days
                if self._matcher.has_day(day) and not self._may_stand(day, value.tag)
            }
        if vr in _TEXT_VRS or vr in _NUMBER_VRS or vr in ("UI", "DA", "DT"):
            return self._in_text(value)
        if vr in _OTHER_NUMBER_VRS and not value.private:  # a ramp in a palette reads as a word
            return self._in_bytes(value, least_term(value.raw))
        if vr in _BINARY_VRS and not value.private:
            return set()
        return self._in_bytes(value)

    def _may_stand(self, day: str, tag: int) -> bool:
        """Whether a day of the originals means another in an element with this tag."""
        if day in self._allowed.days:
            return True
        if self._keeps_dates and tag not in _MAY_BE_OF_BIRTH:  # a newborn's study
            return True
        if self._rules is None or self._allowed.patient is None:
            return False
        made = self._days_by_tag.get(tag)
        if made is None:
            made = self._rules.days_made(tag, self._original_days, self._allowed.patient)
            self._days_by_tag[tag] = made
        return day in made

    def _in_private_number(self, raw: bytes) -> set[str]:
        spans = self._matcher.find(raw.decode("ascii"), six_digits=False)
        return {span.kind for span in spans if span.end - span.start >= LARGE_TERM - 1}

    def _in_text(self, value: Value) -> set[str]:
        keyword = "" if value.private else attribute(value.tag).keyword
        text = normalized(value.decoder.decode(value.raw))
        if text in self._allowed.texts:
            return set()
        kinds = {span.kind for span in self._search.spans_of_values(text, keyword, value.vr)}
        if not value.raw.isascii() or b"\x1b" in value.raw:
            for other in readings(value.raw):
                kinds |= {span.kind for span in self._search.spans(other, keyword, value.vr)}
            kinds |= self._as_encoded(value.raw)
        return kinds

    def _as_encoded(self, raw: bytes) -> set[str]:
        return {"name"} if self._encoded is not None and self._encoded.search(raw) else set()

    def _in_bytes(self, value: Value, least: int = LONG_TERM) -> set[str]:
        """Values that may hold anything: as text of every kind, and in large ones long terms."""
        raw = value.raw
        kinds = self._as_encoded(raw)
        if len(raw) >= _LARGE and not self._may_have_terms(raw):
            return kinds
        least = least if len(raw) < _LARGE else LARGE_TERM
        texts = [raw.decode("latin-1"), *readings(raw), value.decoder.decode(raw)]
        for text in dict.fromkeys(texts):
            spans = self._matcher.find(normalized(text), six_digits=False)
            kinds |= {span.kind for span in spans if _size(text, span) >= least}
        whole = normalized(value.decoder.decode(raw))
        if least < LARGE_TERM and len(whole) < LONG_TERM and not whole.isdigit():
            kinds |= {span.kind for span in self._matcher.find(whole, numbers=False)}
        return kinds

    def _may_have_terms(self, raw: bytes) -> bool:
        """Whether a large value has the first token of any term, a day or a UID, in any coding."""
        for data in (raw, raw.replace(b"\0", b"")):
            found = {token.lower() for token in _TOKEN_BYTES.findall(data)}
            if not found.isdisjoint(self._first_tokens):
                return True
            if any(self._matcher.has_day(token.decode()) for token in found if len(token) == 8):
                return True
        return False


def _size(text: str, span: Span) -> int:
    return sum(len(token.folded) for token in tokens_of(text[span.start : span.end]))
