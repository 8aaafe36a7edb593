"""What a run leaves to be read: its reports and previews."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from isocenter.apps.accounts.access import principal_of
from isocenter.apps.accounts.rights import Right
from isocenter.apps.api.guard import needs
from isocenter.apps.api.paging import by_number
from isocenter.apps.api.schemas import PageOf, Paging, Row, with_problems
from isocenter.apps.archive import queries as archive
from isocenter.apps.audit.services import record_view
from isocenter.apps.routing import queries
from isocenter.apps.routing.models import Artifact

router = Router(tags=["runs"])

# A report is a page of its own; it loads nothing and runs nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"


class PreviewRow(Row):
    """A picture that a run made."""

    id: int
    role: str
    size: int
    digest: str


@router.get(
    "/runs/{run_id}/reports/{form}",
    response=with_problems(str),
    auth=needs(Right.VIEW),
    openapi_extra={
        "responses": {200: {"content": {"text/html": {}, "application/json": {}, "text/plain": {}}}}
    },
)
def get_report(request: HttpRequest, run_id: str, form: Literal["html", "json", "txt"]) -> Any:
    """The report of a run; `reports` of the run says in which forms there is one. It names no
    patient."""
    run = queries.run(run_id)
    content, content_type = archive.report(run.study.study_uid, run.pk, form)
    record_view(principal_of(request), run.study.study_uid, "report")
    headers = {"Content-Security-Policy": _POLICY}
    return HttpResponse(content, content_type=content_type, headers=headers)


@router.get(
    "/runs/{run_id}/previews",
    response=with_problems(PageOf[PreviewRow]),
    auth=needs(Right.VIEW),
)
def list_previews(request: HttpRequest, run_id: str, given: Query[Paging]) -> Any:
    """The pictures that a run made and that still count, as it made them. The file of each is at
    `studies/{study_uid}/outputs/{id}`."""
    run = queries.run(run_id)
    found = Artifact.objects.filter(run=run, kind="preview", state=Artifact.State.ACTIVE)
    page = by_number(found, given, _row)
    record_view(principal_of(request), run.study.study_uid, "previews")
    return page


def _row(made: Artifact) -> dict[str, Any]:
    return {"id": made.pk, "role": made.role, "size": made.size, "digest": made.digest}
