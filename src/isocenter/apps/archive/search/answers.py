"""Values of the rows that were found."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Sum

from isocenter.apps.archive.models import Instance, Series, Study, StudySearch
from isocenter.apps.archive.search.attributes import (
    AVAILABILITY,
    CHARACTER_SET,
    MODALITIES_IN_STUDY,
    PATIENT_ID,
    PATIENT_INSTANCES,
    PATIENT_NAME,
    PATIENT_SERIES,
    PATIENT_STUDIES,
    REQUEST_ATTRIBUTES,
    SEARCHABLE,
    SERIES_INSTANCES,
    SERIES_UID,
    SOP_CLASSES_IN_STUDY,
    SOP_UID,
    STUDY_DATE,
    STUDY_INSTANCES,
    STUDY_SERIES,
    STUDY_TIME,
    STUDY_UID,
    Attribute,
    How,
    Level,
    identifying,
)
from isocenter.apps.archive.search.question import Match, Question, Value

#: What every answer of a level has, asked or not (PS3.18 Tables 10.6.3-3 to 10.6.3-5); PATIENT as
#: PS3.4 Table C.6-1 has it.
ANSWERED: Mapping[Level, frozenset[int]] = {
    Level.PATIENT: frozenset(
        (CHARACTER_SET, PATIENT_NAME, PATIENT_ID, 0x00100021, 0x00100030, 0x00100040)
    ),
    Level.STUDY: frozenset(
        (
            CHARACTER_SET,
            STUDY_DATE,
            STUDY_TIME,
            0x00080050,
            AVAILABILITY,
            MODALITIES_IN_STUDY,
            0x00080090,
            0x00080201,
            PATIENT_NAME,
            PATIENT_ID,
            0x00100030,
            0x00100040,
            STUDY_UID,
            0x00200010,
            STUDY_SERIES,
            STUDY_INSTANCES,
        )
    ),
    Level.SERIES: frozenset(
        (
            CHARACTER_SET,
            0x00080060,
            0x00080201,
            0x0008103E,
            STUDY_UID,
            SERIES_UID,
            0x00200011,
            SERIES_INSTANCES,
            0x00400244,
            0x00400245,
            REQUEST_ATTRIBUTES,
        )
    ),
    Level.INSTANCE: frozenset(
        (
            CHARACTER_SET,
            0x00080016,
            SOP_UID,
            AVAILABILITY,
            0x00080201,
            STUDY_UID,
            SERIES_UID,
            0x00200013,
            0x00280008,
            0x00280010,
            0x00280011,
            0x00280100,
        )
    ),
}
_PATIENT_COUNTS = frozenset((PATIENT_STUDIES, PATIENT_SERIES, PATIENT_INSTANCES))


@dataclass(frozen=True)
class _Counts:
    series: int = 0
    instances: int = 0


def answers(question: Question, numbers: Sequence[int]) -> list[Match]:
    """Answers of rows, in their order; rows that are gone meanwhile are left out.

    Args:
        numbers: of studies (for patients: one study of each), series or instances.
    """
    reader = _Reader(question)
    if question.level is Level.INSTANCE:
        return reader.instances(numbers)
    if question.level is Level.SERIES:
        return reader.series(numbers)
    return reader.studies(numbers)


class _Reader:
    """Reads what one question wants, in a few statements per page."""

    def __init__(self, question: Question) -> None:
        known = SEARCHABLE[question.level]
        wanted = ANSWERED[question.level] | question.keys.keys() | question.returns
        wanted |= {sequence for sequence, _ in question.sequence_keys}
        if not question.identified:
            wanted -= identifying()
        self._level = question.level
        self._identified = question.identified
        self._wanted = {tag: known[tag] for tag in sorted(wanted & known.keys())}

    def studies(self, numbers: Collection[int]) -> list[Match]:
        found = Study.objects.in_bulk(list(numbers))
        made = self._made_of_studies(list(found.values()))
        is_patient = self._level is Level.PATIENT
        return [
            Match(
                self._values((made[number], found[number])),
                study_uid="" if is_patient else found[number].study_uid,
            )
            for number in numbers
            if number in found
        ]

    def series(self, numbers: Collection[int]) -> list[Match]:
        found = Series.objects.select_related("study").in_bulk(list(numbers))
        made = self._made_of_studies([row.study for row in found.values()])
        return [
            Match(
                self._values((made[row.study_id], _made_of_series(row), row, row.study)),
                study_uid=row.study.study_uid,
                series_uid=row.series_uid,
            )
            for row in (found[number] for number in numbers if number in found)
        ]

    def instances(self, numbers: Collection[int]) -> list[Match]:
        # Hundreds of instances have one series and one study: these are read once, not with each.
        found = Instance.objects.defer("references", "received_at").in_bulk(list(numbers))
        studies = Study.objects.in_bulk({row.study_id for row in found.values()})
        all_series = Series.objects.in_bulk({row.series_id for row in found.values()})
        made = self._made_of_studies(list(studies.values()))
        matches = []
        for row in (found[number] for number in numbers if number in found):
            study, series = studies.get(row.study_id), all_series.get(row.series_id)
            if study is None or series is None:  # deleted meanwhile
                continue
            values = self._values((made[study.pk], _made_of_series(series), row, series, study))
            matches.append(Match(values, study.study_uid, series.series_uid, row.sop_uid))
        return matches

    def _values(self, sources: Sequence[Any]) -> dict[int, Value]:
        """Values of what is wanted: made ones first, else the attribute's column."""
        made = [source for source in sources if isinstance(source, dict)]
        rows = {
            level: row
            for row in sources
            if not isinstance(row, dict)
            for level in _LEVELS_OF[type(row)]
        }
        values: dict[int, Value] = {}
        for tag, attribute in self._wanted.items():
            for one in made:
                if tag in one:
                    values[tag] = one[tag]
                    break
            else:
                values[tag] = self._value(attribute, rows)
        return values

    def _value(self, attribute: Attribute, rows: Mapping[Level, Any]) -> Value:
        if not attribute.column:
            return ()
        value = getattr(rows[attribute.level], attribute.column)
        if attribute.how is How.SEQUENCE:
            return self._items(attribute, value)
        return () if value is None or value == "" else (value,)

    def _items(self, attribute: Attribute, stored: Sequence[Mapping[str, str]]) -> Value:
        hidden = frozenset() if self._identified else identifying()
        return tuple(
            {
                tag: (item[inside.keyword],) if item.get(inside.keyword) else ()
                for tag, inside in attribute.items.items()
                if tag not in hidden
            }
            for item in stored
        )

    def _made_of_studies(self, studies: Sequence[Study]) -> dict[int, dict[int, Value]]:
        """What is no column of the study: lists and counts."""
        numbers = {study.pk for study in studies}
        made: dict[int, dict[int, Value]] = {
            number: {CHARACTER_SET: ("ISO_IR 192",), AVAILABILITY: ("ONLINE",)}
            for number in numbers
        }
        wanted = self._wanted.keys()
        if wanted & {MODALITIES_IN_STUDY, SOP_CLASSES_IN_STUDY}:
            for row in StudySearch.objects.filter(pk__in=numbers).only("modalities", "sop_classes"):
                made[row.pk][MODALITIES_IN_STUDY] = tuple(row.modalities)
                made[row.pk][SOP_CLASSES_IN_STUDY] = tuple(row.sop_classes)
        if wanted & {STUDY_SERIES, STUDY_INSTANCES}:
            counts = _counts(numbers)
            for number in numbers:
                count = counts.get(number, _Counts())
                made[number][STUDY_SERIES] = (count.series,)
                made[number][STUDY_INSTANCES] = (count.instances,)
        if wanted & _PATIENT_COUNTS:
            _count_patients(made)
        return made


_LEVELS_OF: Mapping[type, tuple[Level, ...]] = {
    Study: (Level.PATIENT, Level.STUDY),
    Series: (Level.SERIES,),
    Instance: (Level.INSTANCE,),
}


def _made_of_series(series: Series) -> dict[int, Value]:
    return {SERIES_INSTANCES: (series.instance_count,)}


def _counts(studies: Collection[int]) -> dict[int, _Counts]:
    """Series and instances of studies, derived ones too."""
    found = (
        Series.objects.filter(study__in=studies, instance_count__gt=0)
        .values_list("study_id")
        .annotate(of_series=Count("id"), of_instances=Sum("instance_count"))
        .order_by()
    )
    return {number: _Counts(series, instances) for number, series, instances in found}


def _count_patients(made: dict[int, dict[int, Value]]) -> None:
    keys = dict(StudySearch.objects.filter(pk__in=made).values_list("pk", "patient_key"))
    studies: dict[str, list[int]] = {}
    all_of_them = StudySearch.objects.filter(patient_key__in=set(keys.values()))
    for number, key in all_of_them.values_list("pk", "patient_key"):
        studies.setdefault(key, []).append(number)
    counts = _counts([number for group in studies.values() for number in group])
    for number, key in keys.items():
        group = [counts.get(each, _Counts()) for each in studies[key]]
        made[number][PATIENT_STUDIES] = (len(group),)
        made[number][PATIENT_SERIES] = (sum(count.series for count in group),)
        made[number][PATIENT_INSTANCES] = (sum(count.instances for count in group),)


if not all(ANSWERED[level] <= SEARCHABLE[level].keys() for level in Level):
    raise AssertionError("every level answers attributes that the index has")
