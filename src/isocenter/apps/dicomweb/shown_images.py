"""Which images of a study or series are shown to whoever asks for all of them."""

from __future__ import annotations

from collections.abc import Sequence

from django.http import HttpRequest

from isocenter.apps.accounts.rights import Right
from isocenter.apps.archive import queries
from isocenter.apps.archive.queries import StoredInstance
from isocenter.apps.dicomweb.guard import is_identified, require
from isocenter.core.dicom.frames import find_frames
from isocenter.core.errors import DicomError, PixelError


def shown_of(
    request: HttpRequest, rows: Sequence[StoredInstance]
) -> tuple[list[StoredInstance], str]:
    """The images that can be drawn and that who asks may see, as their headers have it; and where
    some are left out, a ``Warning`` (RFC 7234 5.5) that says how many, and why.

    Raises:
        NotAllowed: all that can be drawn may name the patient, and who asks may not know.
        PixelError: none can be drawn.
    """
    identified = is_identified(request)
    shown: list[StoredInstance] = []
    hidden = broken = 0
    for row in rows:
        names_patient = _names_patient(row)
        if names_patient is None:
            broken += 1
        elif names_patient and not identified:
            hidden += 1
        else:
            shown.append(row)
    if not shown and hidden:
        require(request, Right.VIEW_IDENTIFIED)
    if not shown:
        raise PixelError("none of its images can be drawn")
    why = [f"{hidden} may name the patient"] if hidden else []
    why += [f"{broken} cannot be drawn"] if broken else []
    if not why:
        return shown, ""
    text = f"{len(shown)} of {len(rows)} images are here: {', '.join(why)}"
    return shown, f'299 isocenter "{text}"'


def _names_patient(row: StoredInstance) -> bool | None:
    """Whether pixels may name the patient; None where they cannot be drawn."""
    from isocenter.core.dicom.decodable import check_decodable

    try:
        found = find_frames(row.path)
        check_decodable(found)
    except (DicomError, OSError):
        return None
    by_kind = queries.may_name_patient(row.modality, row.sop_class_uid)
    return by_kind or found.header.is_burned_in
