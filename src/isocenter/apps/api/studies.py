"""Studies: what is here, and what can be done with it."""

from __future__ import annotations

from typing import Any

from django.http import FileResponse, HttpRequest
from ninja import Query, Router

from isocenter.apps.accounts.access import principal_of
from isocenter.apps.accounts.rights import Right
from isocenter.apps.api.guard import actor, needs
from isocenter.apps.api.identity import may_identify, shown_to
from isocenter.apps.api.paging import BadCursor, by_number
from isocenter.apps.api.schemas import PageOf, with_problems
from isocenter.apps.api.study_schemas import (
    Completed,
    Deleted,
    Download,
    InstanceFilter,
    InstanceRow,
    Protection,
    SeriesRow,
    StudyDetail,
    StudyFilter,
    StudyPage,
    StudyRow,
    StudySearch,
)
from isocenter.apps.archive import queries, services
from isocenter.apps.archive.models import Instance
from isocenter.apps.archive.queries import Cursor, WorklistFilter
from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record, record_view
from isocenter.core.errors import NotAllowed, NotFound
from isocenter.runtime.web.sealed import seal, unseal

router = Router(tags=["studies"])


@router.get("/studies", response=with_problems(StudyPage), auth=needs(Right.VIEW))
def list_studies(request: HttpRequest, given: Query[StudyFilter]) -> Any:
    """Studies, the last received first unless `sort` says otherwise."""
    return _search(request, given)


@router.post("/studies/search", response=with_problems(StudyPage), auth=needs(Right.VIEW))
def search_studies(request: HttpRequest, search: StudySearch) -> Any:
    """The same with every column of the worklist."""
    return _search(request, search)


@router.get("/studies/{study_uid}", response=with_problems(StudyDetail), auth=needs(Right.VIEW))
def get_study(request: HttpRequest, study_uid: str) -> Any:
    """One study with its series and revisions."""
    detail = queries.study_detail(study_uid)
    record_view(principal_of(request), study_uid)
    return shown_to(request, detail)


@router.get(
    "/studies/{study_uid}/series", response=with_problems(PageOf[SeriesRow]), auth=needs(Right.VIEW)
)
def list_series(request: HttpRequest, study_uid: str) -> Any:
    """The series of a study, those that runs made behind the others."""
    return {"items": queries.series_rows(queries.study(study_uid)), "next": None}


@router.get(
    "/studies/{study_uid}/instances",
    response=with_problems(PageOf[InstanceRow]),
    auth=needs(Right.VIEW),
)
def list_instances(request: HttpRequest, study_uid: str, given: Query[InstanceFilter]) -> Any:
    """The instances of a study, in the order in which they came."""
    found = Instance.objects.filter(study=queries.study(study_uid)).select_related("series")
    if given.series_uid:
        found = found.filter(series__series_uid=given.series_uid)
    return by_number(found, given, _instance_row)


@router.get(
    "/studies/{study_uid}/series/{series_uid}/thumbnail",
    response=with_problems(bytes),
    auth=needs(Right.VIEW),
    openapi_extra={"responses": {200: {"content": {"image/png": {}}}}},
)
def get_thumbnail(request: HttpRequest, study_uid: str, series_uid: str) -> Any:
    """A small picture of a series (PNG). There is none for what has no image, while it is not
    rendered yet, and, without `view-identified`, where it may name the patient."""
    found = queries.thumbnail(study_uid, series_uid, identified=may_identify(request))
    if found.path is None:
        raise NotFound(f"the picture is {found.state}", hint=found.reason)
    try:
        stream = found.path.open("rb")
    except FileNotFoundError:
        raise NotFound("the picture is pending") from None
    return FileResponse(stream, content_type="image/png")


@router.post(
    "/studies/{study_uid}/complete", response=with_problems(Completed), auth=needs(Right.RUN)
)
def complete_study(request: HttpRequest, study_uid: str) -> Any:
    """Complete a study by hand, whatever it waits for; every enabled route is asked."""
    revision = services.force_complete(study_uid, actor=actor(request))
    return {
        "study_uid": study_uid,
        "revision": revision.number,
        "instances": revision.instance_count,
    }


_ZIP: dict[str, Any] = {"responses": {200: {"content": {"application/zip": {}}}}}
_TO_DOWNLOAD = needs(Right.DOWNLOAD)


@router.get(
    "/studies/{study_uid}/download",
    response=with_problems(bytes),
    auth=_TO_DOWNLOAD,
    openapi_extra=_ZIP,
)
def download_study(request: HttpRequest, study_uid: str, dicomdir: bool = False) -> Any:
    """All instances of a study as they are stored, those that runs made too, as a ZIP. They name
    the patient: `view-identified` is needed. With `dicomdir` under names of a DICOM medium, with a
    DICOMDIR. An archive without its end was broken off: something went wrong on the way."""
    return _zip(request, study_uid, "", Download(dicomdir=dicomdir))


@router.post(
    "/studies/{study_uid}/download",
    response=with_problems(bytes),
    auth=_TO_DOWNLOAD,
    openapi_extra=_ZIP,
)
def download_study_as(request: HttpRequest, study_uid: str, how: Download) -> Any:
    """The same with a `password`: encrypted with AES-256 as WinZip and 7-Zip do it. Names of files
    stay readable; they are UIDs."""
    return _zip(request, study_uid, "", how)


@router.get(
    "/studies/{study_uid}/series/{series_uid}/download",
    response=with_problems(bytes),
    auth=_TO_DOWNLOAD,
    openapi_extra=_ZIP,
)
def download_series(
    request: HttpRequest, study_uid: str, series_uid: str, dicomdir: bool = False
) -> Any:
    """One series as a ZIP, like a study."""
    return _zip(request, study_uid, series_uid, Download(dicomdir=dicomdir))


@router.post(
    "/studies/{study_uid}/series/{series_uid}/download",
    response=with_problems(bytes),
    auth=_TO_DOWNLOAD,
    openapi_extra=_ZIP,
)
def download_series_as(request: HttpRequest, study_uid: str, series_uid: str, how: Download) -> Any:
    """The same with a `password`."""
    return _zip(request, study_uid, series_uid, how)


def _zip(request: HttpRequest, study_uid: str, series_uid: str, how: Download) -> Any:
    principal_of(request).require(Right.VIEW_IDENTIFIED)
    options = services.ZipOptions(dicomdir=how.dicomdir, password=how.password)
    return services.zip_answer(request, study_uid, series_uid, options)


@router.get(
    "/studies/{study_uid}/outputs/{output_id}",
    response=with_problems(bytes),
    auth=needs(Right.VIEW),
    openapi_extra={"responses": {200: {"content": {"application/octet-stream": {}}}}},
)
def get_output(request: HttpRequest, study_uid: str, output_id: str) -> Any:
    """A file that a run made (`artifacts` of the run have its id). Pictures are for those who may
    look; other files need `download`, DICOM instances `view-identified` as well, and those that
    were de-identified `reidentify`: beside the study they say who a pseudonym is."""
    number = int(output_id) if output_id.isdecimal() and len(output_id) < 19 else 0
    found = queries.output(study_uid, number)
    for right in found.rights:
        principal_of(request).require(right)
    if not found.is_picture:
        _downloaded(request, study_uid, what=found.kind, bytes=found.size)
    return FileResponse(
        found.path.open("rb"),
        content_type=found.content_type,
        as_attachment=not found.is_picture,
        filename=found.path.name,
    )


@router.put(
    "/studies/{study_uid}/protection", response=with_problems(StudyRow), auth=needs(Right.DELETE)
)
def protect_study(request: HttpRequest, study_uid: str, protection: Protection) -> Any:
    """Keep a study from being deleted by anybody and by retention; or stop that."""
    services.protect(study_uid, protection.protected, actor=actor(request))
    return shown_to(request, queries.study_row(queries.study(study_uid)))


@router.delete("/studies/{study_uid}", response=with_problems(Deleted), auth=needs(Right.DELETE))
def delete_study(request: HttpRequest, study_uid: str) -> Any:
    """Delete a study: instances, runs, outputs, deliveries, what of it is in quarantine. Its
    events stay. Refused (409) while it is protected or something works on it."""
    return services.delete_study(study_uid, actor=actor(request))


@router.delete(
    "/studies/{study_uid}/series/{series_uid}",
    response=with_problems(Deleted),
    auth=needs(Right.DELETE),
)
def delete_series(request: HttpRequest, study_uid: str, series_uid: str) -> Any:
    """Delete one series; with the last one the study goes too."""
    return services.delete_series(study_uid, series_uid, actor=actor(request))


def _downloaded(request: HttpRequest, study_uid: str, **detail: Any) -> None:
    record(Kind.STUDY_DOWNLOADED, study_uid=study_uid, actor=actor(request), **detail)


def _require_for(request: HttpRequest, asked: WorklistFilter) -> None:
    """
    Raises:
        NotAllowed: it searches or sorts by what tells who a patient is, for somebody who may not
            know: without these fields everything would be found.
    """
    if not may_identify(request) and (fields := asked.identifying()):
        raise NotAllowed(
            f"searching or sorting by {', '.join(fields)} needs the right view-identified",
            hint="leave it out, or ask an administrator for the right",
        )


def _search(request: HttpRequest, given: StudyFilter) -> dict[str, Any]:
    asked = WorklistFilter(
        text=getattr(given, "text", ""),
        patient_name=getattr(given, "patient_name", ""),
        patient_id=getattr(given, "patient_id", ""),
        patient_birth_date=getattr(given, "patient_birth_date", ""),
        accession_number=getattr(given, "accession_number", ""),
        study_description=given.description,
        study_from=given.study_from,
        study_to=given.study_to,
        received_from=given.received_from,
        received_to=given.received_to,
        modalities=tuple(given.modality),
        states=tuple(given.state),
        source=given.source,
        flagged=given.flagged,
        failed=given.failed,
        instances_min=given.instances_min,
        instances_max=given.instances_max,
        sort=given.sort,
    )
    _require_for(request, asked)
    page = queries.worklist(
        asked, identified=may_identify(request), cursor=_place(given.cursor), limit=given.limit
    )
    if searched := asked.searched():
        record(Kind.STUDY_QUERIED, actor=actor(request), fields=searched, found=page.total)
    return {
        "items": [shown_to(request, queries.study_row(row)) for row in page.studies],
        # Sealed: the place in a list by name is a name.
        "next": seal(page.next.as_dict()) if page.next else None,
        "total": page.total,
    }


def _place(text: str) -> Cursor | None:
    """
    Raises:
        BadCursor: it is none.
    """
    if not text:
        return None
    place = Cursor.from_dict(unseal(text))
    if place is None:
        raise BadCursor
    return place


def _instance_row(row: Instance) -> dict[str, Any]:
    return {
        "sop_uid": row.sop_uid,
        "sop_class_uid": row.sop_class_uid,
        "series_uid": row.series.series_uid,
        "modality": row.modality,
        "instance_number": row.instance_number,
        "rows": row.rows,
        "columns": row.columns,
        "frames": row.number_of_frames,
        "transfer_syntax_uid": row.transfer_syntax_uid,
        "size": row.size,
        "digest": row.digest,
        "derived": row.is_derived,
        "received_at": row.received_at.isoformat(),
    }
