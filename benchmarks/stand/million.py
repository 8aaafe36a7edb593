"""Fills a running platform's index with as many studies as a hospital has.

    python benchmarks/stand/million.py DATA_DIR COUNT [EVENTS]

Rows only, made inside the database (those that are searched by the platform's own code): series,
instances, and for every tenth study a revision and a run with its delivery. Names, dates and
descriptions repeat as they do in a hospital. Columns that are not named here get their model's
default.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = "1.2.826.0.1.3680043.8.498.99."
_FAMILY_SALT, _GIVEN_SALT = 7, 11
FAMILY = [
    "Müller",
    "Schmidt",
    "García",
    "Rossi",
    "Dubois",
    "Novák",
    "Kowalski",
    "Andersen",
    "Silva",
    "Ivanov",
    "Yılmaz",
    "Nguyen",
    "Tanaka",
    "Kim",
    "Wang",
    "Singh",
    "Haddad",
    "Cohen",
    "Okafor",
    "Jansen",
    "Papadopoulos",
    "Lindqvist",
    "O'Brien",
    "Kovács",
    "Horvat",
    "Popescu",
]
GIVEN = [
    "Anna",
    "Maria",
    "Peter",
    "Hans",
    "José",
    "Giulia",
    "Luc",
    "Jana",
    "Piotr",
    "Lars",
    "João",
    "Olga",
    "Emre",
    "Linh",
    "Yuki",
    "Min",
    "Wei",
    "Priya",
    "Omar",
    "Noa",
    "Chidi",
    "Sanne",
    "Nikos",
    "Elsa",
    "Siobhán",
    "Zsófia",
    "Ana",
    "Ion",
    "Ruth",
    "Karl",
]
DESCRIPTIONS = [
    "CT head",
    "CT thorax",
    "CT abdomen and pelvis",
    "CT planning head and neck",
    "CT planning prostate",
    "MR brain with contrast",
    "MR prostate",
    "MR spine",
    "PET-CT whole body",
    "XR chest",
    "XR knee left",
    "US abdomen",
    "RT planning breast",
    "RT planning lung",
    "Mammography screening",
    "CT angiography",
    "MR liver",
    "CT follow-up",
]


def _pick(values: list[str], salt: int) -> str:
    listed = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    return f"(ARRAY[{listed}])[1 + (n::bigint * {salt}) % {len(values)}]"


def name_of(number: int) -> tuple[str, str, int]:
    """Family name, given name and what follows, of the patient of a study."""
    family = FAMILY[number * _FAMILY_SALT % len(FAMILY)]
    return family, GIVEN[number * _GIVEN_SALT % len(GIVEN)], number % 977


def _study() -> dict[str, str]:
    return {
        "study_uid": f"'{ROOT}' || n",
        "patient_id": "'P' || lpad((n * 7919::bigint % ({count} / 2 + 1))::text, 7, '0')",
        "patient_name": (
            f"{_pick(FAMILY, _FAMILY_SALT)} || '^' || {_pick(GIVEN, _GIVEN_SALT)} || '^' || n % 977"
        ),
        "patient_birth_date": "to_char(date '1930-01-01' + (n % 30000)::int, 'YYYYMMDD')",
        "patient_sex": "(ARRAY['F', 'M', 'O'])[1 + n % 3]",
        "study_date": "to_char(date '2016-01-01' + (n * 3650::bigint / {count})::int, 'YYYYMMDD')",
        "study_time": "lpad((n % 24)::text, 2, '0') || '3000'",
        "accession_number": "'A' || lpad(n::text, 8, '0')",
        "study_description": _pick(DESCRIPTIONS, 13),
        "modalities": "CASE n % 5 WHEN 0 THEN ARRAY['CT', 'RTSTRUCT'] WHEN 1 THEN ARRAY['MR']"
        " WHEN 2 THEN ARRAY['CT', 'PT'] WHEN 3 THEN ARRAY['CR'] ELSE ARRAY['CT'] END",
        "series_count": "2",
        "instance_count": "2",
        "state": "CASE WHEN n % 500 = 0 THEN 'waiting' WHEN n % 997 = 0 THEN 'held'"
        " ELSE 'complete' END",
        "first_received_at": _received("-1 minute"),
        "last_received_at": _received("0"),
        "complete_at": _received("1 minute"),
        "revision": "1",
        "complete_revision": "1",
    }


def _received(later: str) -> str:
    age = "({count} - n)::float / {count} * interval '3650 days'"
    return f"now() - interval '1 hour' - {age} + interval '{later}'"


def _series(number: int) -> dict[str, str]:
    return {
        "study_id": "s.id",
        "series_uid": f"s.study_uid || '.{number}'",
        "modality": "s.modalities[1]" if number == 1 else "s.modalities[cardinality(s.modalities)]",
        "series_number": str(number),
        "series_description": f"'Series {number}'",
        "body_part_examined": "'HEAD'",
        "instance_count": "1",
    }


_INSTANCE = {
    "series_id": "e.id",
    "study_id": "e.study_id",
    "sop_uid": "e.series_uid || '.1'",
    "sop_class_uid": "'1.2.840.10008.5.1.4.1.1.2'",
    "transfer_syntax_uid": "'1.2.840.10008.1.2.1'",
    "instance_number": "1",
    "rows": "512",
    "columns": "512",
    "path": "e.series_uid || '.1.dcm'",
    "size": "525000",
    "digest": "md5(e.series_uid) || md5(e.series_uid)",
    "received_at": "now()",
    "revision": "1",
    "modality": "e.modality",
}
_REVISION = {
    "study_id": "s.id",
    "number": "1",
    "reason": "'complete'",
    "instance_count": "2",
    "digest": "repeat('0', 64)",
    "created_at": "s.complete_at",
}
_RUN = {
    "id": "gen_random_uuid()",
    "pipeline_name": "'overlay'",
    "route_name": "'overlay'",
    "definition": "jsonb_build_object('steps', '[]'::jsonb, 'destinations', '[]'::jsonb)",
    "study_id": "r.study_id",
    "revision_id": "r.id",
    "state": "CASE WHEN r.id % 50 = 0 THEN 'failed' ELSE 'done' END",
    "created_at": "r.created_at",
    "started_at": "r.created_at",
    "finished_at": "r.created_at + interval '20 seconds'",
}
_DELIVERY = {
    "run_id": "r.id",
    "study_id": "r.study_id",
    "node_name": "'archive-node'",
    "state": "'done'",
    "attempts": "1",
    "created_at": "r.created_at",
    "finished_at": "r.finished_at",
}


def fill(count: int) -> dict[str, float]:
    """Make the rows; seconds per table. The index must be empty of rows from here."""
    from isocenter.apps.archive.models import Instance, Revision, Series, Study
    from isocenter.apps.routing.models import Delivery, Run

    ours = f"s.study_uid LIKE '{ROOT}%'"
    took: dict[str, float] = {}
    with _without_indexes(Study, Series, Instance, Revision, Run, Delivery):
        for model, values, source in (
            (Study, _study(), "generate_series(1, {count}) AS n"),
            (Series, _series(1), f"archive_study s WHERE {ours}"),
            (Series, _series(2), f"archive_study s WHERE {ours}"),
            (Instance, _INSTANCE, f"archive_series e WHERE e.series_uid LIKE '{ROOT}%'"),
            (Revision, _REVISION, f"archive_study s WHERE s.id % 10 = 0 AND {ours}"),
            (Run, _RUN, "archive_revision r WHERE r.digest = repeat('0', 64)"),
            (Delivery, _DELIVERY, "routing_run r WHERE r.route_name = 'overlay'"),
        ):
            began = time.monotonic()
            _insert(model, values, source, count)
            name = model._meta.db_table
            took[name] = took.get(name, 0.0) + time.monotonic() - began
    began = time.monotonic()
    _make_searchable()
    took["search"] = time.monotonic() - began
    _execute("VACUUM ANALYZE")
    return took


def _make_searchable() -> None:
    """Rows of the search table, by the code that fills it after an update."""
    from isocenter.apps.archive.models import SearchFilling, StudySearch
    from isocenter.apps.archive.services import fill_search

    SearchFilling.objects.all().delete()
    with _without_indexes(StudySearch):
        while fill_search():
            pass


def events(count: int) -> float:
    """Make events as the platform does, chained and all; seconds."""
    from isocenter.apps.audit.kinds import Kind
    from isocenter.apps.audit.services import Entry, record_many

    began = time.monotonic()
    kinds = (Kind.STUDY_VIEWED, Kind.STUDY_QUERIED, Kind.SENDING_SUCCESS)
    for first in range(0, count, 2000):
        record_many(
            Entry(kinds[n % len(kinds)], f"{ROOT}{n + 1}", "benchmark", {"instances": n % 300})
            for n in range(first, min(count, first + 2000))
        )
    return time.monotonic() - began


def _insert(model: Any, values: Mapping[str, str], source: str, count: int) -> None:
    """INSERT … SELECT with every column of the model."""
    expressions = {
        field.column: values.get(field.column) or _default(field)
        for field in model._meta.concrete_fields
        if field.column in values or not (field.primary_key or field.null or field.generated)
    }
    columns = ", ".join(f'"{name}"' for name in expressions)
    chosen = ", ".join(expressions.values())
    statement = f"INSERT INTO {model._meta.db_table} ({columns}) SELECT {chosen} FROM {source}"
    _execute(statement.replace("{count}", str(count)))


def _default(field: Any) -> str:
    """What a model's field gets by itself, as SQL."""
    from psycopg.sql import Literal

    kind = field.get_internal_type()
    if kind == "DateTimeField":
        return "now()"
    value = field.get_default()
    if kind == "JSONField":
        value = json.dumps(value)
    return Literal(value).as_string() + f"::{field.db_type(_connection())}"


@contextmanager
def _without_indexes(*models: Any) -> Iterator[None]:
    """Indexes that are no constraints are made when the rows are there: much faster."""
    tables = [model._meta.db_table for model in models]
    found = _execute(
        "SELECT i.indexname, i.indexdef FROM pg_indexes i WHERE i.tablename = ANY(%(tables)s)"
        " AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conname = i.indexname)",
        {"tables": tables},
    )
    for name, _ in found:
        _execute(f'DROP INDEX "{name}"')
    try:
        yield
    finally:
        _execute("SET maintenance_work_mem = '512MB'")
        for _, definition in found:
            _execute(definition)


def _connection() -> Any:
    from django.db import connection

    return connection


def _execute(statement: str, parameters: Mapping[str, Any] | None = None) -> list[Any]:
    with _connection().cursor() as cursor:
        # Without parameters percent signs stay as they are.
        cursor.execute(statement, parameters)
        return list(cursor.fetchall()) if cursor.description else []


def main() -> None:
    from isocenter.runtime.boot import boot

    boot(data_dir=Path(sys.argv[1]))
    count = int(sys.argv[2])
    took = fill(count)
    if len(sys.argv) > 3:
        took["events"] = events(int(sys.argv[3]))
    print(json.dumps({table: round(seconds, 1) for table, seconds in took.items()}))


if __name__ == "__main__":
    main()
