"""One stored instance by its UIDs, in one lean query: a viewer asks for hundreds, one by one."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from isocenter.apps.archive.models import Instance
from isocenter.apps.archive.search.stored import StoredInstance
from isocenter.core.errors import NotFound

_COLUMNS = (
    "sop_class_uid",
    "transfer_syntax_uid",
    "path",
    "size",
    "digest",
    "modality",
    "number_of_frames",
    "instance_number",
    "study__patient_id",
)


def stored_instance(study_uid: str, series_uid: str, sop_uid: str) -> StoredInstance:
    """An instance and where it is.

    Raises:
        NotFound: it is not in that series of that study.
    """
    found = Instance.objects.filter(
        sop_uid=sop_uid, series__series_uid=series_uid, study__study_uid=study_uid
    )
    row = next(iter(found.values_list(*_COLUMNS)[:1]), None)
    if row is None:
        raise NotFound(f"no instance {sop_uid[:70]} is here in that study and series")
    sop_class, syntax, path, size, digest, modality, frames, number, patient_id = row
    return StoredInstance(
        study_uid=study_uid,
        series_uid=series_uid,
        sop_uid=sop_uid,
        sop_class_uid=sop_class,
        transfer_syntax_uid=syntax,
        path=Path(settings.LAYOUT.archive, path),
        size=size,
        digest=digest,
        modality=modality,
        number_of_frames=frames,
        instance_number=number,
        patient_id=patient_id,
    )
