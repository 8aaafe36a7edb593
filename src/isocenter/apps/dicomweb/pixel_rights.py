"""Who may see the pixels of an instance: one rule for frames, pictures, thumbnails, icons and the
bulk data of all of them.

Pixels may name the patient: those of kinds of images that often have the name burned in, and
those that say so themselves (Burned In Annotation, PS3.3 C.7.6.1). They are for whoever may know
whose studies these are.
"""

from __future__ import annotations

from django.http import HttpRequest

from isocenter.apps.accounts.rights import Right
from isocenter.apps.archive import queries
from isocenter.apps.archive.queries import StoredInstance
from isocenter.apps.dicomweb.guard import is_identified, require
from isocenter.core.dicom.image_header import says_burned_in
from isocenter.core.dicom.structure import PIXEL_TAGS
from isocenter.core.errors import NotAllowed, NotFound

_PIXELS = tuple(f"{tag:08X}" for tag in PIXEL_TAGS)


def require_for_pixels(request: HttpRequest, row: StoredInstance) -> None:
    """
    Raises:
        NotAllowed: the pixels may name the patient, and who asks may not know.
        NotFound: whether they do cannot be known, as the file cannot be read.
        DicomError: likewise, as it is broken.
    """
    if is_identified(request):
        return
    if not (queries.may_name_patient(row.modality, row.sop_class_uid) or _says_so(row)):
        return
    try:
        require(request, Right.VIEW_IDENTIFIED)
    except NotAllowed as error:
        raise NotAllowed(
            f"{error.args[0]}: images of this kind often have the name burned in", hint=error.hint
        ) from None


def require_for_place(request: HttpRequest, row: StoredInstance, place: str) -> None:
    """For a place of bulk data. All but pixels may say who the patient is and is for
    VIEW_IDENTIFIED, whether the instance has it or not: who may not see it does not learn that.

    Raises:
        NotAllowed, NotFound, DicomError: see :func:`require_for_pixels`.
    """
    if place.upper().endswith(_PIXELS):
        require_for_pixels(request, row)
    else:
        require(request, Right.VIEW_IDENTIFIED)


def _says_so(row: StoredInstance) -> bool:
    try:
        return says_burned_in(row.path)
    except OSError as error:
        raise NotFound(f"the file of the instance cannot be read: {error.strerror}") from None
