"""Projects of de-identification: policy, pseudonyms, and who is behind them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status

from isocenter.apps.accounts.access import principal_of
from isocenter.apps.accounts.rights import Right
from isocenter.apps.api.content import text_of
from isocenter.apps.api.guard import actor, needs
from isocenter.apps.api.paging import BadCursor, decode, encode, whole
from isocenter.apps.api.project_schemas import (
    Asked,
    AttributeRow,
    FoundPatients,
    ImportedRow,
    ListForm,
    NewProject,
    ProjectInFull,
    ProjectRow,
    ProjectVersion,
    ProjectWishes,
    PseudonymRow,
    Question,
    SecretRow,
)
from isocenter.apps.api.schemas import PageOf, Paging, with_problems
from isocenter.apps.deid import queries, rows, services
from isocenter.apps.deid.models import ProjectChange

router = Router(tags=["projects"])

_MANAGE = needs(Right.MANAGE_PROJECTS)
_REIDENTIFY = needs(Right.REIDENTIFY)
_CSV: dict[str, Any] = {"content": {"text/csv": {}}}


@router.get("/projects", response=with_problems(PageOf[ProjectRow]), auth=_MANAGE)
def list_projects(request: HttpRequest) -> Any:
    """All projects, by name."""
    return whole([_row(item) for item in queries.projects()])


@router.post("/projects", response=with_problems(ProjectInFull, 201), auth=_MANAGE)
def make_project(request: HttpRequest, project: NewProject) -> Any:
    """Make a project. What is wrong with its document is said by key."""
    made = services.create_project(
        project.name, project.document, description=project.description, actor=actor(request)
    )
    return Status(201, rows.project_in_full(made))


@router.get("/projects/{name}", response=with_problems(ProjectInFull), auth=_MANAGE)
def get_project(request: HttpRequest, name: str) -> Any:
    """One project, with its policy in words."""
    return rows.project_in_full(queries.project(name))


@router.put("/projects/{name}", response=with_problems(ProjectInFull), auth=_MANAGE)
def change_project(request: HttpRequest, name: str, project: ProjectWishes) -> Any:
    """Set what a project wants. Secret and pseudonyms stay; runs that have begun keep theirs."""
    changed = services.change_project(
        name,
        project.document,
        description=project.description,
        version=project.version,
        actor=actor(request),
    )
    return rows.project_in_full(changed)


@router.delete("/projects/{name}", response=with_problems(None, 204), auth=_MANAGE)
def remove_project(request: HttpRequest, name: str) -> Any:
    """Remove a project that no pipeline names, with its secret and pseudonyms, for ever."""
    services.delete_project(name, actor=actor(request))
    return Status(204, None)


@router.get("/projects/{name}/explain", response=with_problems(AttributeRow), auth=_MANAGE)
def explain_attribute(request: HttpRequest, name: str, given: Query[Asked]) -> Any:
    """What becomes of an attribute in this project, and why."""
    return rows.attribute_in_words(queries.project(name), given.attribute)


@router.get(
    "/projects/{name}/changes", response=with_problems(PageOf[ProjectVersion]), auth=_MANAGE
)
def list_project_changes(request: HttpRequest, name: str, given: Query[Paging]) -> Any:
    """What became of a project, the newest first; of one that is gone too."""
    before = _number(given.cursor)
    found = ProjectChange.objects.filter(name=name).order_by("-version")
    if not found.exists():
        queries.project(name)  # says which is near
    if before is not None:
        found = found.filter(version__lt=before)
    left = list(found[: given.limit + 1])
    shown = left[: given.limit]
    more = encode([shown[-1].version]) if len(left) > len(shown) else None
    items = [
        {
            "version": item.version,
            "change": item.change,
            "at": item.at.isoformat(),
            "actor": item.actor,
            "description": item.description,
            "document": item.document,
        }
        for item in shown
    ]
    return {"items": items, "next": more}


@router.get(
    "/projects/{name}/pseudonyms", response=with_problems(PageOf[PseudonymRow]), auth=_MANAGE
)
def list_pseudonyms(request: HttpRequest, name: str, given: Query[Paging]) -> Any:
    """The pseudonyms of a project, the newest first. Whose they are is another right."""
    found = queries.entries(name, _number(given.cursor), given.limit + 1)
    shown = found[: given.limit]
    more = encode([shown[-1].number]) if len(found) > len(shown) else None
    return {"items": [_timed(item) for item in shown], "next": more}


@router.post("/projects/{name}/look-up", response=with_problems(FoundPatients), auth=_REIDENTIFY)
def look_up_patient(request: HttpRequest, name: str, question: Question) -> Any:
    """Who is behind a pseudonym, or which pseudonym somebody has. An event says who asked."""
    found = services.look_up(
        name,
        pseudonym=question.pseudonym,
        patient_id=question.patient_id,
        issuer=question.issuer,
        actor=actor(request),
    )
    return {"items": [_timed(item) for item in found]}


@router.post(
    "/projects/{name}/import",
    response=with_problems(ImportedRow),
    exclude_none=True,
    auth=_MANAGE,
    openapi_extra={"requestBody": {**_CSV, "required": True}},
)
def import_pseudonyms(request: HttpRequest, name: str, given: Query[ListForm]) -> Any:
    """Take a list of pseudonyms in, all of it or nothing: CSV with the columns `PatientID` and
    `Pseudonym`, and if wanted `IssuerOfPatientID`, `StudyInstanceUID`, `PseudonymName`,
    `DayShift`.

    Without the right `reidentify` the answer says how many entries the list has, and not what was
    in the map before; ten lists an hour may contradict the map."""
    take = services.import_netrt_map if given.form == "netrt" else services.import_map
    may_reidentify = principal_of(request).may(Right.REIDENTIFY)
    done = take(name, text_of(request), actor=actor(request), may_reidentify=may_reidentify)
    return asdict(done) if may_reidentify else {"entries": done.entries}


@router.get(
    "/projects/{name}/export",
    response=with_problems(str),
    auth=_REIDENTIFY,
    openapi_extra={"responses": {200: _CSV}},
)
def export_pseudonyms(request: HttpRequest, name: str) -> Any:
    """Every patient with their pseudonym, as CSV that `import` takes. An event says who took it."""
    text = services.export_map(name, actor=actor(request))
    return HttpResponse(text, content_type="text/csv; charset=utf-8")


@router.get("/projects/{name}/secret", response=with_problems(SecretRow), auth=_REIDENTIFY)
def get_project_secret(request: HttpRequest, name: str) -> Any:
    """The secret, for `isocenter deidentify --secret-file` elsewhere. An event says who took it."""
    return {"secret": services.secret_of(name, actor=actor(request)).key.hex()}


def _row(item: queries.ProjectRow) -> dict[str, Any]:
    times = {key: getattr(item, key).isoformat() for key in ("created_at", "changed_at")}
    return asdict(item) | times


def _timed(item: queries.EntryRow | services.Found) -> dict[str, Any]:
    at = item.created_at
    return asdict(item) | {"created_at": at.isoformat() if at else None}


def _number(cursor: str) -> int | None:
    """
    Raises:
        BadCursor: it is none of these lists.
    """
    if not cursor:
        return None
    values = decode(cursor)
    if len(values) != 1 or type(values[0]) is not int or not 0 <= values[0] < 1 << 63:
        raise BadCursor
    return values[0]
