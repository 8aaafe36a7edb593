"""Further attributes of what a query found, from documents that are there."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from isocenter.apps.archive.metadata import store
from isocenter.apps.archive.metadata.stamps import (
    SeriesNow,
    first_series,
    keys_of_series,
    series_of_keys,
)
from isocenter.core.dicom.json_model import SeriesFile
from isocenter.core.errors import DataSetError

#: (Study UID, Series UID, SOP Instance UID); the last ones are empty at higher levels.
Key = tuple[str, str, str]


def further_attributes(
    keys: Sequence[Key], tags: Collection[int] | None, *, identified: bool
) -> list[dict[str, Any]]:
    """Attributes of matches as the DICOM JSON model has them, for ``includefield`` (PS3.18 8.3.4).

    No instance is opened and nothing is built: where the document of a series is not there, or is
    older than its rows, the answer for it is empty. A study or series is answered from its first
    instance; whether an attribute belongs to that level is the caller's affair.

    Args:
        keys: of the matches, a page of them at most.
        tags: the attributes wanted; None: all that the document has, but bulk data.
        identified: False leaves out what identifies.

    Returns:
        an object per key, in their order; property names are tags as ``00080060``.
    """
    rows = _rows(keys)
    wanted: dict[SeriesNow, set[str]] = {}
    for (_, _, sop_uid), row in zip(keys, rows, strict=True):
        if row is not None:
            wanted.setdefault(row, set()).add(sop_uid)
    names = None if tags is None else {f"{tag:08X}" for tag in tags}
    found = {row: _of_series(row, uids, names, identified) for row, uids in wanted.items()}
    return [
        dict(found[row].get(sop_uid, {})) if row is not None else {}
        for (_, _, sop_uid), row in zip(keys, rows, strict=True)
    ]


def _rows(keys: Sequence[Key]) -> list[SeriesNow | None]:
    """The series that answers for each key; None where there is none."""
    studies = {study for study, series, _ in keys if not series}
    pairs = {(study, series) for study, series, _ in keys if series}
    of_study = first_series(sorted(studies)) if studies else {}
    of_pair = keys_of_series(sorted(pairs)) if pairs else {}
    now = {row.key: row for row in series_of_keys({*of_study.values(), *of_pair.values()})}
    own = [of_pair.get((study, uid)) if uid else of_study.get(study) for study, uid, _ in keys]
    return [None if key is None else now.get(key) for key in own]


def _of_series(
    row: SeriesNow, sop_uids: Collection[str], names: Collection[str] | None, identified: bool
) -> Mapping[str, dict[str, Any]]:
    """By SOP Instance UID; that of the first instance is under the empty one, too."""
    with store.opened(row) as document:
        if document is None:
            return {}
        try:
            return _read(document, sop_uids, names, identified)
        except DataSetError:
            store.discard(row)
            return {}


def _read(
    document: SeriesFile,
    sop_uids: Collection[str],
    names: Collection[str] | None,
    identified: bool,
) -> dict[str, dict[str, Any]]:
    if set(sop_uids) == {""}:  # the first block holds the first instance alone
        return {"": _chosen(document.block(0, identified=identified), names)}
    found: dict[str, dict[str, Any]] = {}
    number, block = -1, b""
    for position, place in enumerate(document.places()):
        own = [uid for uid in (place.sop_uid, *([""] * (not position))) if uid in sop_uids]
        if not own:
            continue
        if place.block != number:
            number, block = place.block, document.block(place.block, identified=identified)
        offset, length = place.full if identified else place.plain
        found |= dict.fromkeys(own, _chosen(block[offset : offset + length], names))
    return found


def _chosen(text: bytes, names: Collection[str] | None) -> dict[str, Any]:
    dataset: dict[str, Any] = json.loads(text, strict=False)
    return {
        tag: attribute
        for tag, attribute in dataset.items()
        if (tag in names if names is not None else "BulkDataURI" not in attribute)
        and not _has_link(attribute)
    }


def _has_link(attribute: Mapping[str, Any]) -> bool:
    """Whether there is a BulkDataURI in it: it has no base URL here."""
    if "BulkDataURI" in attribute:
        return True
    if attribute["vr"] != "SQ":
        return False
    return any(_has_link(each) for item in attribute.get("Value", ()) for each in item.values())
