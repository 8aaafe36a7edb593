"""Stored instances of patients, studies, series: what is sent (PS3.4 C.4.2, PS3.18 10.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import F

from isocenter.apps.archive.models import Instance, Series

_AT_ONCE = 500
_COLUMNS = (
    "path",
    "study__study_uid",
    "series__series_uid",
    "sop_uid",
    "sop_class_uid",
    "transfer_syntax_uid",
    "size",
    "digest",
    "modality",
    "number_of_frames",
    "instance_number",
    "study__patient_id",
)
_FIELDS = tuple(column.rpartition("__")[2] for column in _COLUMNS[1:])


@dataclass(frozen=True)
class StoredInstance:
    """An instance and where it is.

    Attributes:
        path: absolute.
        size: of the file, in bytes.
        digest: SHA-256 of the data set, without file meta information; hexadecimal.
    """

    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    path: Path
    size: int
    digest: str
    modality: str
    number_of_frames: int | None
    instance_number: int | None
    patient_id: str


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
    return _stream(list(in_order.values_list("pk", flat=True)), instances)


def recent_syntaxes(most: int) -> list[tuple[str, str]]:
    """(SOP class, transfer syntax) of the instances that were indexed last."""
    found = Instance.objects.order_by("-pk").values_list("sop_class_uid", "transfer_syntax_uid")
    return list(found[:most])


def _stream(series: Sequence[int], sop_uids: Sequence[str]) -> Iterator[StoredInstance]:
    archive: Path = settings.LAYOUT.archive
    for number in series:
        found = Instance.objects.filter(series=number)
        if sop_uids:
            found = found.filter(sop_uid__in=sop_uids)
        order = found.order_by(F("instance_number").asc(nulls_last=True), "id")
        rows = list(order.values_list(*_COLUMNS)[: _AT_ONCE + 1])
        if len(rows) <= _AT_ONCE:  # nearly every series
            yield from _made(rows, archive)
            continue
        numbers = list(order.values_list("pk", flat=True))
        for first in range(0, len(numbers), _AT_ONCE):
            yield from _read(numbers[first : first + _AT_ONCE], archive)


def _read(numbers: Sequence[int], archive: Path) -> Iterator[StoredInstance]:
    rows = Instance.objects.filter(pk__in=numbers).values_list("pk", *_COLUMNS)
    found = {row[0]: row[1:] for row in rows}
    yield from _made((found[number] for number in numbers if number in found), archive)


def _made(rows: Iterable[tuple[Any, ...]], archive: Path) -> Iterator[StoredInstance]:
    root = str(archive)
    for path, *others in rows:
        # As one text: joining paths costs as much as all else here.
        where = Path(f"{root}/{path}")
        yield StoredInstance(path=where, **dict(zip(_FIELDS, others, strict=True)))
