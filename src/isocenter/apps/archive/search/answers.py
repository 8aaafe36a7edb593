"""Values of the rows that were found."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

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
_KNOWN = 1_000  # studies, or series, that are kept between pages
_PATIENT_COUNTS = frozenset((PATIENT_STUDIES, PATIENT_SERIES, PATIENT_INSTANCES))


@dataclass(frozen=True)
class _Counts:
    series: int = 0
    instances: int = 0


class _Row(NamedTuple):
    """A row that was read: columns for our own use, and values that are answered."""

    own: tuple[Any, ...]
    values: dict[int, Value]


class Reader:
    """Reads what one question wants, in a few statements per page; only the columns it wants.

    Studies and series stay between pages: those of one series follow each other.
    """

    def __init__(self, question: Question) -> None:
        known = SEARCHABLE[question.level]
        wanted = question.keys.keys() | question.returns
        if not question.is_bare:
            wanted |= ANSWERED[question.level]
        wanted |= {sequence for sequence, _ in question.sequence_keys}
        if not question.identified:
            wanted -= identifying()
        self._level = question.level
        self._hidden = frozenset() if question.identified else identifying()
        self._wanted = {tag: known[tag] for tag in sorted(wanted & known.keys())}
        self._known_series: dict[int, _Row] = {}
        self._known_studies: dict[int, _Row] = {}

    def read(self, numbers: Sequence[int]) -> list[Match]:
        """Answers of rows, in their order; rows that are gone meanwhile are left out.

        Args:
            numbers: of studies (for patients: one study of each), series or instances.
        """
        if self._level is Level.INSTANCE:
            return self.instances(numbers)
        if self._level is Level.SERIES:
            return self.series(numbers)
        return self.studies(numbers)

    def studies(self, numbers: Collection[int]) -> list[Match]:
        found = self._studies(numbers)
        is_patient = self._level is Level.PATIENT
        return [
            Match(self._in_order(row.values), study_uid="" if is_patient else row.own[0])
            for row in (found[number] for number in numbers if number in found)
        ]

    def series(self, numbers: Collection[int]) -> list[Match]:
        found = self._series(numbers)
        studies = self._studies({row.own[0] for row in found.values()})
        return [
            Match(
                self._in_order({**studies[row.own[0]].values, **row.values}),
                study_uid=studies[row.own[0]].own[0],
                series_uid=row.own[1],
            )
            for row in (found[number] for number in numbers if number in found)
            if row.own[0] in studies
        ]

    def instances(self, numbers: Collection[int]) -> list[Match]:
        found = self._rows(Instance, numbers, (Level.INSTANCE,), ("series_id", "sop_uid"))
        all_series = self._series({row.own[0] for row in found.values()})
        studies = self._studies({row.own[0] for row in all_series.values()})
        above = {
            number: (
                self._in_order({**studies[series.own[0]].values, **series.values}),
                (studies[series.own[0]].own[0], series.own[1]),
            )
            for number, series in all_series.items()
            if series.own[0] in studies
        }
        matches = []
        for row in (found[number] for number in numbers if number in found):
            if row.own[0] in above:
                values, uids = above[row.own[0]]
                matches.append(Match({**values, **row.values}, *uids, row.own[1]))
        return matches

    def _in_order(self, values: Mapping[int, Value]) -> dict[int, Value]:
        return {tag: values.get(tag, ()) for tag in self._wanted}

    def _studies(self, numbers: Collection[int]) -> dict[int, _Row]:
        return _completed(self._known_studies, numbers, self._read_studies)

    def _series(self, numbers: Collection[int]) -> dict[int, _Row]:
        return _completed(self._known_series, numbers, self._read_series)

    def _read_studies(self, numbers: Collection[int]) -> dict[int, _Row]:
        found = self._rows(Study, numbers, (Level.PATIENT, Level.STUDY), ("study_uid",))
        self._make_lists(found)
        self._make_counts(found)
        return found

    def _read_series(self, numbers: Collection[int]) -> dict[int, _Row]:
        own = ("study_id", "series_uid", "instance_count")
        found = self._rows(Series, numbers, (Level.SERIES,), own)
        for row in found.values():
            row.values[SERIES_INSTANCES] = (row.own[2],)
        return found

    def _rows(
        self, model: Any, numbers: Collection[int], levels: Sequence[Level], own: Sequence[str]
    ) -> dict[int, _Row]:
        """Rows of a table, with values of what is wanted of it.

        Args:
            own: columns for our own use.
        """
        attributes = [
            each
            for each in self._wanted.values()
            if each.level in levels and each.column and each.how is not How.MANY
        ]
        columns = [each.column for each in attributes]
        # One parameter, not hundreds: each is written and read, here and there.
        place = f"{model._meta.db_table}.id = ANY(%s)"
        rows = model.objects.extra(where=[place], params=[list(numbers)])  # noqa: S610
        found = rows.values_list("pk", *own, *columns)
        first = 1 + len(own)
        tags = [each.tag for each in attributes]
        read = {
            row[0]: _Row(
                row[1:first],
                {
                    tag: () if value is None or value == "" else (value,)
                    for tag, value in zip(tags, row[first:], strict=True)
                },
            )
            for row in found
        }
        for each in attributes:
            if each.how is How.SEQUENCE:
                for _, values in read.values():
                    values[each.tag] = self._items(each, values[each.tag])
        return read

    def _items(self, attribute: Attribute, value: Any) -> Value:
        """Those of a sequence, of which a column has a list."""
        return tuple(
            {
                tag: (item[inside.keyword],) if item.get(inside.keyword) else ()
                for tag, inside in attribute.items.items()
                if tag not in self._hidden
            }
            for items in value
            for item in items
        )

    def _make_lists(self, studies: Mapping[int, _Row]) -> None:
        """What is no column of the study, and what is the same for all."""
        for row in studies.values():
            row.values[CHARACTER_SET] = ("ISO_IR 192",)
            row.values[AVAILABILITY] = ("ONLINE",)
        if self._wanted.keys() & {MODALITIES_IN_STUDY, SOP_CLASSES_IN_STUDY}:
            lists = StudySearch.objects.filter(pk__in=list(studies))
            for number, modalities, classes in lists.values_list("pk", "modalities", "sop_classes"):
                studies[number].values[MODALITIES_IN_STUDY] = tuple(modalities)
                studies[number].values[SOP_CLASSES_IN_STUDY] = tuple(classes)

    def _make_counts(self, studies: Mapping[int, _Row]) -> None:
        if self._wanted.keys() & {STUDY_SERIES, STUDY_INSTANCES}:
            counts = _counts(studies)
            for number, row in studies.items():
                count = counts.get(number, _Counts())
                row.values[STUDY_SERIES] = (count.series,)
                row.values[STUDY_INSTANCES] = (count.instances,)
        if self._wanted.keys() & _PATIENT_COUNTS:
            _count_patients(studies)


def _completed(
    known: dict[int, _Row],
    numbers: Collection[int],
    read: Callable[[Collection[int]], dict[int, _Row]],
) -> dict[int, _Row]:
    """Rows that are known, and those among ``numbers`` that have to be read."""
    missing = [number for number in numbers if number not in known]
    if len(known) > _KNOWN:
        known.clear()
        missing = list(numbers)
    if missing:
        known |= read(missing)
    return known


def _counts(studies: Iterable[int]) -> dict[int, _Counts]:
    """Series and instances of studies, derived ones too."""
    found = (
        Series.objects.filter(study__in=list(studies), instance_count__gt=0)
        .values_list("study_id")
        .annotate(of_series=Count("id"), of_instances=Sum("instance_count"))
        .order_by()
    )
    return {number: _Counts(series, instances) for number, series, instances in found}


def _count_patients(studies: Mapping[int, _Row]) -> None:
    rows = StudySearch.objects.filter(pk__in=list(studies))
    keys = dict(rows.values_list("pk", "patient_key"))
    of_patient: dict[str, list[int]] = {}
    all_of_them = StudySearch.objects.filter(patient_key__in=set(keys.values()))
    for number, key in all_of_them.values_list("pk", "patient_key"):
        of_patient.setdefault(key, []).append(number)
    counts = _counts([number for group in of_patient.values() for number in group])
    for number, key in keys.items():
        group = [counts.get(each, _Counts()) for each in of_patient[key]]
        values = studies[number].values
        values[PATIENT_STUDIES] = (len(group),)
        values[PATIENT_SERIES] = (sum(count.series for count in group),)
        values[PATIENT_INSTANCES] = (sum(count.instances for count in group),)


if not all(ANSWERED[level] <= SEARCHABLE[level].keys() for level in Level):
    raise AssertionError("every level answers attributes that the index has")
