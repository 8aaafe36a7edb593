"""Stored instances of patients, studies, series: what is sent (PS3.4 C.4.2, PS3.18 10.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, LiteralString, NamedTuple

from django.conf import settings
from django.db.models import F

from isocenter.apps.archive import prepared
from isocenter.apps.archive.models import Instance, Series

_AT_ONCE = 500
_COLUMNS = (
    "path",
    "sop_uid",
    "sop_class_uid",
    "transfer_syntax_uid",
    "size",
    "digest",
    "modality",
    "number_of_frames",
    "instance_number",
)
_OF_SERIES = ("pk", "study__study_uid", "series_uid", "study__patient_id")

# What is asked for each series, written out: see `archive.prepared`.
_INSTANCES: LiteralString = """
SELECT path, sop_uid, sop_class_uid, transfer_syntax_uid, size, digest, modality,
       number_of_frames, instance_number
FROM archive_instance WHERE series_id = %s
ORDER BY instance_number ASC NULLS LAST, id LIMIT %s
"""
_ONE_SERIES: LiteralString = """
SELECT series.id, study.study_uid, series.series_uid, study.patient_id
FROM archive_series AS series JOIN archive_study AS study ON study.id = series.study_id
WHERE series.series_uid = %s AND study.study_uid = %s
"""


class StoredInstance(NamedTuple):
    """An instance and where it is. A tuple, as hundreds are made for one answer.

    Attributes:
        file: absolute path.
        size: of the file, in bytes.
        digest: SHA-256 of the data set, without file meta information; hexadecimal.
    """

    file: str
    sop_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    size: int
    digest: str
    modality: str
    number_of_frames: int | None
    instance_number: int | None
    study_uid: str
    series_uid: str
    patient_id: str

    @property
    def path(self) -> Path:
        """Where it is."""
        return Path(self.file)


def stored(
    *,
    study_uid: str = "",
    series_uid: str = "",
    sop_uid: str = "",
    study_uids: Sequence[str] = (),
    series_uids: Sequence[str] = (),
    sop_uids: Sequence[str] = (),
    patient_id: str | None = None,
) -> Iterator[StoredInstance]:
    """Instances that fulfil everything that is given, by numbers of series and instances.

    They come from the database some hundred at a time, whatever thread asks for the next one;
    those that are deleted meanwhile are left out.

    Args:
        patient_id: exact; of all issuers.

    Raises:
        ValueError: nothing is given, so everything would be meant.
    """
    studies = [*([study_uid] if study_uid else ()), *study_uids]
    series = [*([series_uid] if series_uid else ()), *series_uids]
    instances = [*([sop_uid] if sop_uid else ()), *sop_uids]
    if not (studies or series or instances or patient_id):
        raise ValueError("name a patient, studies, series or instances")
    if len(studies) == len(series) == 1 and not instances and patient_id is None:
        return _stream(prepared.rows(_ONE_SERIES, (*series, *studies)), ())
    wanted = Series.objects.all()
    if studies:
        wanted = wanted.filter(study__study_uid__in=studies)
    if series:
        wanted = wanted.filter(series_uid__in=series)
    if patient_id:
        wanted = wanted.filter(study__patient_id=patient_id)
    if instances:
        named = Instance.objects.filter(sop_uid__in=instances)
        wanted = wanted.filter(pk__in=named.values("series"))
    in_order = wanted.order_by("study", F("series_number").asc(nulls_last=True), "id")
    return _stream(list(in_order.values_list(*_OF_SERIES)), instances)


def recent_syntaxes(most: int) -> list[tuple[str, str]]:
    """(SOP class, transfer syntax) of the instances that were indexed last."""
    found = Instance.objects.order_by("-pk").values_list("sop_class_uid", "transfer_syntax_uid")
    return list(found[:most])


def _stream(series: Sequence[tuple[Any, ...]], sop_uids: Sequence[str]) -> Iterator[StoredInstance]:
    for number, *names in series:
        if not sop_uids:
            rows = prepared.rows(_INSTANCES, (number, _AT_ONCE + 1))
            if len(rows) <= _AT_ONCE:  # nearly every series
                yield from _made(rows, names)
                continue
        found = Instance.objects.filter(series=number)
        if sop_uids:
            found = found.filter(sop_uid__in=sop_uids)
        order = found.order_by(F("instance_number").asc(nulls_last=True), "id")
        numbers = list(order.values_list("pk", flat=True))
        for first in range(0, len(numbers), _AT_ONCE):
            yield from _made(_read(numbers[first : first + _AT_ONCE]), names)


def _read(numbers: Sequence[int]) -> Iterator[tuple[Any, ...]]:
    rows = Instance.objects.filter(pk__in=numbers).values_list("pk", *_COLUMNS)
    found = {row[0]: row[1:] for row in rows}
    return (found[number] for number in numbers if number in found)


def _made(rows: Iterable[tuple[Any, ...]], names: Sequence[str]) -> Iterator[StoredInstance]:
    root = str(settings.LAYOUT.archive)
    for path, *others in rows:
        yield StoredInstance(f"{root}/{path}", *others, *names)
