"""The rows that are searched: made of studies, series and instances, written when they change."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.db import connection
from django.db.models import Q

from isocenter.apps.archive.models import Instance, Series, Study, StudySearch
from isocenter.apps.archive.search import tokens
from isocenter.apps.archive.search.keys import normal_name, stored_date, stored_time
from isocenter.core.dicom.folding import FOLDING_VERSION, fold

#: Changes when rows have to be made anew: with what they hold, or with the folding.
VERSION = 1_000 * 2 + FOLDING_VERSION

_COLUMNS = tuple(
    field.attname for field in StudySearch._meta.concrete_fields if not field.primary_key
)
# One parameter for any number of rows: the model's own way takes four times as long.
_WRITE = """
    INSERT INTO archive_studysearch (study_id, {columns})
    SELECT study_id, {columns} FROM json_to_recordset(%s) AS given(study_id bigint, {types})
    ON CONFLICT (study_id) DO UPDATE SET {changes}
""".format(  # noqa: S608 - columns are ours, rows are one parameter
    columns=", ".join(_COLUMNS),
    types=", ".join(
        f"{name} {StudySearch._meta.get_field(name).db_type(connection)}" for name in _COLUMNS
    ),
    changes=", ".join(f"{name} = excluded.{name}" for name in _COLUMNS),
)


def refresh(studies: Collection[Study], new_classes: Mapping[int, Collection[str]] | None) -> int:
    """Bring the rows of these studies up to date, in the caller's transaction.

    Args:
        studies: saved, and locked by the caller.
        new_classes: SOP classes that came to a study, by its number; None: look at all instances,
            as something went.

    Returns:
        how many rows had to be written.
    """
    if not studies:
        return 0
    numbers = [study.pk for study in studies]
    here = {row.pk: row for row in StudySearch.objects.filter(pk__in=numbers)}
    modalities = _modalities(numbers)
    if new_classes is None:
        classes = _classes(numbers)
    else:
        unknown = _classes([number for number in numbers if number not in here])
        classes = {
            number: {*new_classes.get(number, ()), *here[number].sop_classes}
            if number in here
            else unknown.get(number, set())
            for number in numbers
        }
    changed = []
    for study in studies:
        row = row_of(study, modalities.get(study.pk, ()), classes.get(study.pk, ()))
        known = here.get(study.pk)
        if known is None or any(getattr(row, name) != getattr(known, name) for name in _COLUMNS):
            changed.append(row)
    write(changed)
    return len(changed)


def write(rows: Iterable[StudySearch]) -> None:
    """Insert rows, or put them in the place of those that are there."""
    values = [{name: getattr(row, name) for name in ("study_id", *_COLUMNS)} for row in rows]
    if values:
        with connection.cursor() as cursor:
            cursor.execute(_WRITE, [json.dumps(values)])


def _modalities(studies: Collection[int]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    wanted = Series.objects.filter(Q(instance_count__gt=0), study__in=studies)
    for number, modality in wanted.values_list("study_id", "modality").distinct():
        found.setdefault(number, set()).add(modality)
    return found


def _classes(studies: Collection[int]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    if studies:
        wanted = Instance.objects.filter(study__in=studies).values_list("study_id", "sop_class_uid")
        for number, sop_class in wanted.order_by().distinct():
            found.setdefault(number, set()).add(sop_class)
    return found


def rows_of(studies: Collection[Study]) -> list[StudySearch]:
    """Rows of studies as they are in the index now, not saved."""
    numbers = [study.pk for study in studies]
    modalities, classes = _modalities(numbers), _classes(numbers)
    return [
        row_of(study, modalities.get(study.pk, ()), classes.get(study.pk, ())) for study in studies
    ]


def row_of(study: Study, modalities: Iterable[str], classes: Iterable[str]) -> StudySearch:
    """The row of a study, not saved."""
    texts = {
        "patient_id": study.patient_id.strip(),
        "issuer_of_patient_id": study.issuer_of_patient_id.strip(),
        "patient_name": normal_name(study.patient_name),
        "patient_birth_date": stored_date(study.patient_birth_date),
        "patient_sex": study.patient_sex.strip(),
        "study_date": stored_date(study.study_date),
        "study_time": stored_time(study.study_time),
        "accession_number": study.accession_number.strip(),
        "study_description": fold(study.study_description),
        "referring_physician_name": normal_name(study.referring_physician_name),
    }
    lists = {
        "modalities": sorted({value for value in modalities if value}),
        "sop_classes": sorted({value for value in classes if value}),
    }
    identifier = study.study_id.strip()
    return StudySearch(
        study_id=study.pk,
        patient_key=patient_key(
            texts["patient_id"], texts["issuer_of_patient_id"], texts["patient_name"]
        ),
        study_identifier=identifier,
        pieces=_pieces({**texts, "study_id": identifier}, lists),
        **texts,
        **lists,
    )


def patient_key(patient_id: str, issuer: str, name: str) -> str:
    """The same for two studies when they are of one patient: same ID and issuer; who has no ID is
    the same under the same name."""
    return f"{patient_id}\x1f{issuer}" if patient_id else f"\x1f\x1f{name}"


def _pieces(texts: Mapping[str, str], lists: Mapping[str, list[str]]) -> list[int]:
    found: set[int] = set()
    for column, letter in tokens.FIELDS.items():
        is_folded = column not in tokens.CODES
        text = texts[column] if is_folded else tokens.caseless(texts[column])
        found |= tokens.pieces_of(letter, text)
    for column, letter in tokens.PAIRS.items():
        found |= tokens.pairs_of(letter, texts[column])
    for column, letter in tokens.WHOLE.items():
        values: Any = lists[column] if column in lists else [texts[column]]
        found.update(tokens.whole(letter, value) for value in values if value)
    return sorted(found)
