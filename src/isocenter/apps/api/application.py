"""The API as one object."""

from __future__ import annotations

from ninja import NinjaAPI

from isocenter import __version__
from isocenter.apps.api import (
    account,
    events,
    filters,
    groups,
    nodes,
    people,
    pipelines,
    projects,
    quarantine,
    quarantine_bulk,
    routes,
    routing,
    run_files,
    runs,
    studies,
    system,
    uploads,
)
from isocenter.apps.api.content import JsonParser
from isocenter.apps.api.errors import add_handlers

DESCRIPTION = """Everything that the pages can do.

Send a token as `Authorization: Bearer TOKEN`; a browser that is signed in needs none, and sends
`X-CSRFToken` with whatever changes something. Who asks has their own rights, less what the token's
scopes leave out: each operation says 403 with the right that is lacking.

Lists answer `{"items": […], "next": …}`: pass `next` as `cursor` for the page after. Errors answer
`{"error", "hint"}`, and `problems` where several places are wrong. Times are ISO 8601 in UTC.
Fields that tell who a patient is are null without the right `view-identified`.
"""

AREAS = (
    studies.router,
    filters.router,
    runs.router,
    run_files.router,
    routes.router,
    routing.router,
    pipelines.router,
    nodes.router,
    projects.router,
    quarantine_bulk.router,  # before those whose address has an id in its place
    quarantine.router,
    events.router,
    people.router,
    groups.router,
    account.router,
    uploads.router,
    system.router,
)


def build() -> NinjaAPI:
    """The API with all its areas; its pages are our own (see `views`)."""
    api = NinjaAPI(
        title="Isocenter",
        version=__version__,
        description=DESCRIPTION,
        urls_namespace="api",
        parser=JsonParser(),
        openapi_url="",
        docs_url="",
    )
    add_handlers(api)
    for router in AREAS:
        api.add_router("", router)
    return api
