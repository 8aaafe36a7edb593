"""Addresses of the pages of this app. No route or pipeline can be called ``-`` or ``new``."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from isocenter.apps.routing.views import pipelines, quarantine, routes, runs

_RUN = "runs/<uuid:run_id>/"
_ITEM = "quarantine/<uuid:item_id>/"
_ROUTE = "routes/<slug:name>/"

urlpatterns: list[URLPattern | URLResolver] = [
    path("runs/", runs.runs, name="runs"),
    path(_RUN, runs.run, name="run"),
    path(f"{_RUN}steps/<int:index>/", runs.run_step, name="run-step"),
    path(f"{_RUN}steps/<int:index>/log/", runs.run_step_log, name="run-step-log"),
    path(f"{_RUN}cancel/", runs.run_cancel, name="run-cancel"),
    path(f"{_RUN}retry/", runs.run_retry, name="run-retry"),
    path(f"{_RUN}again/", runs.run_again, name="run-again"),
    path(f"{_RUN}priority/", runs.run_priority, name="run-priority"),
    path(
        f"{_RUN}deliveries/<int:delivery_id>/retry/",
        runs.run_delivery_retry,
        name="run-delivery-retry",
    ),
    path("routes/", routes.routes, name="routes"),
    path("routes/new/", routes.route_new, name="route-new"),
    path("routes/-/import/", routes.routes_import, name="routes-import"),
    path("routes/-/export/", routes.routes_export, name="routes-export"),
    path("routes/-/condition/", routes.condition_check, name="condition-check"),
    path("routes/-/try/", routes.condition_try, name="condition-try"),
    path("routes/-/history/", routes.routes_history, name="routes-history"),
    path("routes/-/history/<int:number>/restore/", routes.routes_restore, name="routes-restore"),
    path(_ROUTE, routes.route, name="route"),
    path(f"{_ROUTE}move/", routes.route_move, name="route-move"),
    path(f"{_ROUTE}switch/", routes.route_switch, name="route-switch"),
    path(f"{_ROUTE}remove/", routes.route_remove, name="route-remove"),
    path("pipelines/", pipelines.pipelines, name="pipelines"),
    path("pipelines/new/", pipelines.pipeline_new, name="pipeline-new"),
    path("pipelines/-/draft/", pipelines.pipeline_draft_view, name="pipeline-draft"),
    path("pipelines/<slug:name>/", pipelines.pipeline, name="pipeline"),
    path("pipelines/<slug:name>/remove/", pipelines.pipeline_remove, name="pipeline-remove"),
    path("quarantine/", quarantine.quarantine, name="quarantine"),
    path("quarantine/-/bulk/", quarantine.quarantine_bulk, name="quarantine-bulk"),
    path(_ITEM, quarantine.quarantine_item, name="quarantine-item"),
    path(f"{_ITEM}export/", quarantine.quarantine_export, name="quarantine-export"),
    path(f"{_ITEM}retry/", quarantine.quarantine_retry, name="quarantine-retry"),
    path(f"{_ITEM}release/", quarantine.quarantine_release, name="quarantine-release"),
    path(f"{_ITEM}delete/", quarantine.quarantine_delete, name="quarantine-delete"),
]
