"""An archive as the answer of a request: of the pages, of the REST API and of DICOMweb."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from isocenter.apps.accounts.access import principal_of
from isocenter.apps.archive import downloads
from isocenter.apps.archive.study_zip import ZipOptions, zip_length, zip_pieces, zip_plan
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.core.dicom.uids import is_valid_uid
from isocenter.runtime.web.streaming import Work, streamed

CONTENT_TYPE = "application/zip"


def zip_answer(
    request: HttpRequest,
    study_uid: str,
    series_uid: str = "",
    options: ZipOptions | None = None,
) -> HttpResponseBase:
    """A study or one series of it as a ZIP, with an event of who took it.

    The caller has seen to the rights: `DOWNLOAD` and `VIEW_IDENTIFIED`, as the files name the
    patient. A password comes from the body of a request, never from its address.

    Raises:
        NotFound: there is no such study or series.
        Refused: files of it are not on the disk as they were stored.
    """
    chosen = options or ZipOptions()
    plan = zip_plan(study_uid, series_uid)
    length = zip_length(plan, chosen)
    response: HttpResponseBase
    if request.method == "HEAD":
        response = HttpResponse(content_type=CONTENT_TYPE)
    else:
        record(
            Kind.STUDY_DOWNLOADED,
            study_uid=study_uid,
            actor=principal_of(request).name,
            what="series" if series_uid else "study",
            instances=len(plan.files),
            bytes=plan.bytes,
            dicomdir=chosen.dicomdir,
            encrypted=bool(chosen.password),
        )
        pieces = zip_pieces(plan, chosen)
        response = streamed(request, pieces, content_type=CONTENT_TYPE, work=Work.PACKING)
    if length is not None:
        response.headers["Content-Length"] = str(length)
    response.headers["Content-Disposition"] = downloads.disposition(
        f"{_file_name(series_uid or study_uid)}.zip"
    )
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _file_name(uid: str) -> str:
    """UIDs come from outside, and some are none."""
    return uid if is_valid_uid(uid) else "study"
