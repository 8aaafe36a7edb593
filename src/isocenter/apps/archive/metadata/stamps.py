"""Which instances a series has now, in one short text that changes with them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from django.db import connection

from isocenter.apps.archive import prepared
from isocenter.core.dicom.json_model import FORMAT

# The digest is that of the data set. By UID, so that an index made anew gives the same.
_SQL = """
SELECT study.study_uid, series.series_uid, series.id, counted.instances, counted.mark
FROM archive_series AS series
JOIN archive_study AS study ON study.id = series.study_id
JOIN LATERAL (
    SELECT count(*) AS instances,
           md5(string_agg(
               row.sop_uid || ' ' || row.digest, ',' ORDER BY row.sop_uid COLLATE "C"
           )) AS mark
    FROM archive_instance AS row
    WHERE row.series_id = series.id
) AS counted ON counted.instances > 0
WHERE {condition}
ORDER BY series.series_number NULLS LAST, series.id
"""


@dataclass(frozen=True, slots=True)
class SeriesNow:
    """A series as its rows are.

    Attributes:
        key: of its row.
        stamp: changes with its instances, with their content, and with the form of our documents.
    """

    study_uid: str
    series_uid: str
    key: int
    instances: int
    stamp: str


def series_now(study_uid: str, series_uid: str = "") -> list[SeriesNow]:
    """The series of a study that have instances, or one of them; in the order of answers."""
    if series_uid:
        condition: LiteralString = "study.study_uid = %s AND series.series_uid = %s"
        return _asked(condition, [study_uid, series_uid])
    return _asked("study.study_uid = %s", [study_uid])


def series_of_keys(keys: Collection[int]) -> list[SeriesNow]:
    """Series by the keys of their rows."""
    return _asked("series.id = ANY(%s)", [list(keys)]) if keys else []


def first_series(study_uids: Sequence[str]) -> dict[str, int]:
    """The key of the first series of each study that has one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT ON (study.id) study.study_uid, series.id FROM archive_study AS study"
            " JOIN archive_series AS series ON series.study_id = study.id"
            " WHERE study.study_uid = ANY(%s) AND series.instance_count > 0"
            " ORDER BY study.id, series.series_number NULLS LAST, series.id",
            [list(study_uids)],
        )
        return dict(cursor.fetchall())


def keys_of_series(pairs: Collection[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """The keys of series by (study UID, series UID)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT study.study_uid, series.series_uid, series.id FROM archive_series AS series"
            " JOIN archive_study AS study ON study.id = series.study_id"
            " WHERE series.series_uid = ANY(%s)",
            [[series_uid for _, series_uid in pairs]],
        )
        found = {(study, series): key for study, series, key in cursor.fetchall()}
    return {pair: found[pair] for pair in pairs if pair in found}


def _asked(condition: LiteralString, values: list[Any]) -> list[SeriesNow]:
    return [
        SeriesNow(study, series, key, instances, _stamp(study, series, mark))
        for study, series, key, instances, mark in prepared.rows(
            _SQL.format(condition=condition), values
        )
    ]


def _stamp(study_uid: str, series_uid: str, mark: str) -> str:
    made = f"{FORMAT} {study_uid} {series_uid} {mark}"
    return hashlib.sha256(made.encode("utf-8", "surrogatepass")).hexdigest()
