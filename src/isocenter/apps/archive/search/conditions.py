"""The keys of a question in SQL.

Aliases: ``s`` the search table's row of the study, ``e`` the series, ``i`` the instance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from isocenter.apps.archive.models import Study
from isocenter.apps.archive.search import keys, names, tokens
from isocenter.apps.archive.search.attributes import (
    ATTRIBUTES,
    PATIENT_ID,
    SEARCHABLE,
    SERIES_UID,
    SOP_UID,
    STUDY_DATE,
    STUDY_TIME,
    STUDY_UID,
    Attribute,
    How,
    Level,
    identifying,
)
from isocenter.apps.archive.search.parts import Part, joined, with_pieces
from isocenter.apps.archive.search.question import Question, QuestionError, name_of
from isocenter.core.dicom.folding import fold
from isocenter.core.errors import NotAllowed

_ALIAS = {Level.PATIENT: "s", Level.STUDY: "s", Level.SERIES: "e", Level.INSTANCE: "i"}
_ONE_OF = "EXISTS (SELECT 1 FROM {} AS item WHERE {})"
_ACCESSION = 0x00080050
_MODALITY, _SOP_CLASS = 0x00080060, 0x00080016
#: Where one value is enough to find the few rows by an index.
_SHARP = frozenset((PATIENT_ID, _ACCESSION, 0x00200010))
_MOST_DAYS = 400  # of a span that is looked up day by day


@dataclass
class Conditions:
    """What rows have to fulfil.

    Attributes:
        parts: all of which have to be true of the study.
        below: all of which have to be true of the series and the instance.
        dates: those of the study's date alone, which its order can be entered with.
        is_within: it asks inside studies, series or instances that are named.
        is_sharp: an index finds the few rows that can match.
        is_void: nothing can match.
    """

    parts: list[Part] = field(default_factory=list)
    below: list[Part] = field(default_factory=list)
    dates: list[Part] = field(default_factory=list)
    is_within: bool = False
    is_sharp: bool = False
    is_void: bool = False

    def add(self, level: Level, sql: str, *parameters: Any) -> None:
        """A condition on rows of this level."""
        of_study = level in (Level.PATIENT, Level.STUDY)
        (self.parts if of_study else self.below).append((sql, list(parameters)))


def conditions(question: Question) -> Conditions:
    """Read the keys of a question.

    Raises:
        QuestionError: a matching text makes no sense.
        NotAllowed: an identifying key of somebody who may not see identities.
    """
    known = SEARCHABLE[question.level]
    found = Conditions()
    asked = {tag: text for tag, text in question.keys.items() if tag in known}
    _refuse_identifying(question)
    if question.combined:
        _combined(found, asked)
    for tag, text in asked.items():
        attribute = known[tag]
        if attribute.how is How.NAME and question.fuzzy:
            _fuzzy(found, attribute, text)
        elif attribute.how is not How.NOTHING and attribute.how is not How.SEQUENCE:
            _READERS[attribute.how](found, attribute, keys.alternatives(attribute, text))
    _sequences(found, question)
    return found


def _refuse_identifying(question: Question) -> None:
    if question.identified:
        return
    asked = {tag: text for tag, text in question.keys.items() if tag in SEARCHABLE[question.level]}
    asked |= {inside: text for (_, inside), text in question.sequence_keys.items()}
    refused = sorted(
        tag for tag, text in asked.items() if text.strip(" *\0") and tag in identifying()
    )
    if refused:
        names = ", ".join(name_of(tag) for tag in refused)
        raise NotAllowed(
            f"searching by {names} needs the right to see who patients are",
            hint="ask an administrator for it, or search by UIDs, modality or numbers",
        )


def _column(attribute: Attribute) -> str:
    if attribute.column == "study_id":  # where the search table has its key
        return "s.study_identifier"
    return f"{_ALIAS[attribute.level]}.{attribute.column}"


def _any_of(found: Conditions, attribute: Attribute, parts: Sequence[Part]) -> None:
    if parts:
        sql, values = joined(parts, " OR ")
        found.add(attribute.level, sql, *values)


def _name(found: Conditions, attribute: Attribute, texts: list[str]) -> None:
    _any_of(found, attribute, names.matching(attribute.column, _column(attribute), texts))


def _fuzzy(found: Conditions, attribute: Attribute, text: str) -> None:
    texts = keys.alternatives(attribute, text)
    _any_of(found, attribute, names.beginning(attribute.column, _column(attribute), texts))


def _folded(found: Conditions, attribute: Attribute, texts: list[str]) -> None:
    column = _column(attribute)
    if attribute.level is Level.SERIES:
        column = f"coalesce(e.folded ->> '{attribute.column}', lower({column}))"
    letter = tokens.FIELDS.get(attribute.column, "")
    parts = []
    for text in texts:
        read = keys.pattern(text, fold)
        pieces = tokens.pieces_in(letter, read.literals()) if letter else []
        parts.append(with_pieces(pieces, f"{column} LIKE %s", read.like))
    _any_of(found, attribute, parts)


def _exact(found: Conditions, attribute: Attribute, texts: list[str]) -> None:
    column = _column(attribute)
    read = [keys.pattern(text) for text in texts]
    plain = [each.text for each in read if each.is_exact]
    parts: list[Part] = []
    letter = tokens.WHOLE.get(attribute.column, "") if attribute.level is not Level.SERIES else ""
    if plain and letter:
        pieces = [tokens.whole(letter, text) for text in plain]
        parts.append((f"s.pieces && %s::int[] AND {column} = ANY(%s)", [pieces, plain]))
    elif plain:
        parts.append((f"{column} = ANY(%s)", [plain]))
    field_letter = tokens.FIELDS.get(attribute.column, "")
    for each in read:
        if not each.is_exact:
            literals = [each._replace(text=tokens.caseless(each.text)) for each in each.literals()]
            pieces = tokens.pieces_in(field_letter, literals) if field_letter else []
            parts.append(with_pieces(pieces, f"{column} LIKE %s", each.like))
    if attribute.tag in _SHARP and plain and len(plain) == len(read):
        found.is_sharp = True
    _any_of(found, attribute, parts)
    if attribute.tag == _MODALITY and plain and len(plain) == len(read):
        pieces = [tokens.whole(tokens.WHOLE["modalities"], text) for text in plain]
        found.add(Level.STUDY, "s.pieces && %s::int[]", pieces)


def _many(found: Conditions, attribute: Attribute, texts: list[str]) -> None:
    column, letter = _column(attribute), tokens.WHOLE[attribute.column]
    parts: list[Part] = []
    for text in texts:
        read = keys.pattern(keys.uid(attribute, text) if attribute.vr == "UI" else text)
        if read.is_exact:
            piece = tokens.whole(letter, text)
            parts.append((f"s.pieces @> %s::int[] AND %s = ANY({column})", [[piece], text]))
        else:
            parts.append((_ONE_OF.format(f"unnest({column})", "item LIKE %s"), [read.like]))
    _any_of(found, attribute, parts)


def _uid(found: Conditions, attribute: Attribute, texts: list[str]) -> None:
    if not texts:
        return
    uids = [keys.uid(attribute, text) for text in texts]
    if attribute.tag == STUDY_UID:
        numbers = list(Study.objects.filter(study_uid__in=uids).values_list("pk", flat=True))
        found.is_void = found.is_void or not numbers
        found.add(Level.STUDY, "s.study_id = ANY(%s)", numbers)
    else:
        found.add(attribute.level, f"{_column(attribute)} = ANY(%s)", uids)
        if attribute.tag == _SOP_CLASS:
            pieces = [tokens.whole(tokens.WHOLE["sop_classes"], uid) for uid in uids]
            found.add(Level.STUDY, "s.pieces && %s::int[]", pieces)
    if attribute.tag in (STUDY_UID, SERIES_UID, SOP_UID):
        found.is_within = found.is_sharp = True


def _number(found: Conditions, attribute: Attribute, texts: list[str]) -> None:
    if texts:
        numbers = [keys.number(attribute, text) for text in texts]
        found.add(attribute.level, f"{_column(attribute)} = ANY(%s::bigint[])", numbers)


def _date(found: Conditions, attribute: Attribute, texts: list[str]) -> None:
    column = _column(attribute)
    is_text = attribute.level is Level.SERIES
    if is_text:
        column = f"replace({column}, '.', '')"
    spans = [keys.date_span(attribute, text) for text in texts]
    parts = [_between(column, span) for span in spans]
    if is_text:
        _any_of(
            found,
            attribute,
            [(f"{sql} AND {column} ~ '^[0-9]{{8}}$'", values) for sql, values in parts],
        )
        return
    if attribute.tag == STUDY_DATE and spans:
        firsts = [span.first for span in spans]
        lasts = [span.last for span in spans]
        hull = keys.Span(min(firsts), max(lasts) if all(lasts) else "", is_range=True)
        found.dates.append(_between(column, hull))
        if len(spans) == 1:
            return
    single = [span.first for span in spans if not span.is_range]
    if letter := tokens.WHOLE.get(attribute.column, ""):
        parts = [
            _with_days(letter, span, sql, values)
            for span, (sql, values) in zip(spans, parts, strict=True)
        ]
        found.is_sharp = found.is_sharp or (bool(single) and len(single) == len(spans))
    _any_of(found, attribute, parts)


def _with_days(letter: str, span: keys.Span, sql: str, values: list[Any]) -> Part:
    """A condition on a date, and before it the days of a short span, which the index has."""
    days = keys.days_of(span, _MOST_DAYS)
    if not days:
        return sql, values
    pieces = [tokens.whole(letter, day) for day in days]
    return f"s.pieces && %s::int[] AND {sql}", [pieces, *values]


def _time(found: Conditions, attribute: Attribute, texts: list[str]) -> None:
    column = _column(attribute)
    spans = [keys.time_span(attribute, text) for text in texts]
    if attribute.level is Level.SERIES:
        plain = column
        column = f"rpad(translate({plain}, ':.', ''), 12, '0')"
        parts = [_between(column, span) for span in spans]
        _any_of(
            found,
            attribute,
            [(f"{sql} AND {plain} ~ '^[0-9:.]+$'", values) for sql, values in parts],
        )
        return
    _any_of(found, attribute, [_between(column, span) for span in spans])


def _between(column: str, span: keys.Span) -> Part:
    """In a span; an empty value is in none."""
    tests, values = [], []
    if span.first:
        tests.append(f"{column} >= %s")
        values.append(span.first)
    else:
        tests.append(f"{column} > ''")
    if span.last:
        tests.append(f"{column} <= %s")
        values.append(span.last)
    return " AND ".join(tests), values


def _combined(found: Conditions, asked: dict[int, str]) -> None:
    """Take a range of dates and one of times out as one range of moments."""
    days, times = asked.get(STUDY_DATE, "").strip(), asked.get(STUDY_TIME, "").strip()
    if "-" not in days or "-" not in times or "\\" in days + times:
        return
    day = keys.date_span(ATTRIBUTES[STUDY_DATE], days)
    time = _moments(days, times)
    del asked[STUDY_TIME], asked[STUDY_DATE]
    found.dates.append(_between("s.study_date", day))
    if day.first and time.first:
        found.add(Level.STUDY, "(s.study_date, s.study_time) >= (%s, %s)", day.first, time.first)
    if day.last and time.last:
        found.add(Level.STUDY, "(s.study_date, s.study_time) <= (%s, %s)", day.last, time.last)


def _moments(days: str, times: str) -> keys.Span:
    """The times of both ends; the last may be earlier in its day than the first."""
    attribute = ATTRIBUTES[STUDY_TIME]
    first, _, last = (part.strip() for part in times.partition("-"))
    from_ = keys.time_span(attribute, first).first if first else ""
    to = keys.time_span(attribute, last).last if last else ""
    if not (from_ or to):
        raise keys.wrong(attribute, "a range needs a beginning or an end")
    return keys.Span(from_, to, is_range=True)


def _sequences(found: Conditions, question: Question) -> None:
    """One item has to match all keys of its sequence (PS3.4 C.2.2.2.6)."""
    known = SEARCHABLE[question.level]
    wanted: dict[int, list[Part]] = {}
    for (sequence, tag), text in question.sequence_keys.items():
        inside = known[sequence].items.get(tag) if sequence in known else None
        texts = keys.alternatives(inside, text) if inside else []
        if inside and texts:
            column = f"(item ->> '{inside.keyword}')"
            likes = [keys.pattern(each).like for each in texts]
            wanted.setdefault(sequence, []).append((f"{column} LIKE ANY(%s)", [likes]))
    for sequence, tests in wanted.items():
        sql, values = joined(tests)
        column = _column(known[sequence])
        found.add(
            known[sequence].level, _ONE_OF.format(f"jsonb_array_elements({column})", sql), *values
        )


_Reader = Callable[[Conditions, Attribute, list[str]], None]
_READERS: Mapping[How, _Reader] = {
    How.NAME: _name,
    How.FOLDED: _folded,
    How.EXACT: _exact,
    How.MANY: _many,
    How.UID: _uid,
    How.NUMBER: _number,
    How.DATE: _date,
    How.TIME: _time,
}

__all__ = ["Conditions", "QuestionError", "conditions"]
