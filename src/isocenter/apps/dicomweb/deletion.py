"""Deleting and rejecting studies, series and instances."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from isocenter.apps.accounts.access import principal_of
from isocenter.apps.accounts.rights import Right
from isocenter.apps.archive import services
from isocenter.apps.dicomweb.empty import empty_answer
from isocenter.apps.dicomweb.guard import needs


@needs(Right.DELETE)
def study(request: HttpRequest, study_uid: str) -> HttpResponse:
    """Delete a study; 409 while it is protected or at work."""
    services.delete_study(study_uid, actor=principal_of(request).name)
    return empty_answer(204)


@needs(Right.DELETE)
def series(request: HttpRequest, study_uid: str, series_uid: str) -> HttpResponse:
    """Delete a series; with the last one its study goes too."""
    services.delete_series(study_uid, series_uid, actor=principal_of(request).name)
    return empty_answer(204)


@needs(Right.DELETE)
def instance(request: HttpRequest, study_uid: str, series_uid: str, sop_uid: str) -> HttpResponse:
    """Delete an instance; with the last one its series goes too, and with that the study."""
    services.delete_instance(study_uid, series_uid, sop_uid, actor=principal_of(request).name)
    return empty_answer(204)


@needs(Right.DELETE)
def reject(
    request: HttpRequest, code: str, study_uid: str, series_uid: str = "", sop_uid: str = ""
) -> HttpResponse:
    """Move what is named into the quarantine; ``code`` is a reason as ``113001^DCM``."""
    actor = principal_of(request).name
    services.reject(study_uid, series_uid, sop_uid, code=code, actor=actor)
    return empty_answer(204)
