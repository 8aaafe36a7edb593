"""One stored instance by its UIDs, in one lean query: a viewer asks for hundreds, one by one."""

from __future__ import annotations

from django.conf import settings

from isocenter.apps.archive import prepared
from isocenter.apps.archive.search.stored import StoredInstance
from isocenter.core.errors import NotFound

# Written out: putting the same words together anew takes longer than the answer.
_SQL = """
SELECT instance.sop_class_uid, instance.transfer_syntax_uid, instance.path, instance.size,
       instance.digest, instance.modality, instance.number_of_frames, instance.instance_number,
       study.patient_id
FROM archive_instance AS instance
JOIN archive_series AS series ON series.id = instance.series_id
JOIN archive_study AS study ON study.id = instance.study_id
WHERE instance.sop_uid = %s AND series.series_uid = %s AND study.study_uid = %s
LIMIT 1
"""


def stored_instance(study_uid: str, series_uid: str, sop_uid: str) -> StoredInstance:
    """An instance and where it is.

    Raises:
        NotFound: it is not in that series of that study.
    """
    row = next(iter(prepared.rows(_SQL, (sop_uid, series_uid, study_uid))), None)
    if row is None:
        raise NotFound(f"no instance {sop_uid[:70]} is here in that study and series")
    sop_class, syntax, path, size, digest, modality, frames, number, patient_id = row
    return StoredInstance(
        study_uid=study_uid,
        series_uid=series_uid,
        sop_uid=sop_uid,
        sop_class_uid=sop_class,
        transfer_syntax_uid=syntax,
        file=f"{settings.LAYOUT.archive}/{path}",
        size=size,
        digest=digest,
        modality=modality,
        number_of_frames=frames,
        instance_number=number,
        patient_id=patient_id,
    )
