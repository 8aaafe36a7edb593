"""Studies, series and instances as they are stored, or in another transfer syntax."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase

from isocenter.apps.accounts.rights import Right
from isocenter.apps.dicomweb.guard import needs
from isocenter.core.errors import NotFound


@needs(Right.DOWNLOAD, Right.VIEW_IDENTIFIED)
def instances(request: HttpRequest, study_uid: str, series_uid: str = "") -> HttpResponseBase:
    """All instances of a study or series."""
    raise NotFound(f"no study {study_uid} is here")


@needs(Right.DOWNLOAD, Right.VIEW_IDENTIFIED)
def instance(
    request: HttpRequest, study_uid: str, series_uid: str, sop_uid: str
) -> HttpResponseBase:
    """One instance."""
    raise NotFound(f"no instance {sop_uid} is here")
