"""Addresses of the pages of this app. No project can be called ``-`` or ``new``.

What identifies a patient is only ever posted: it never stands in an address.
"""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from isocenter.apps.deid.views import patients, projects

_PROJECT = "projects/<slug:name>/"

urlpatterns: list[URLPattern | URLResolver] = [
    path("projects/", projects.projects, name="projects"),
    path("projects/new/", projects.project_new, name="project-new"),
    path("projects/-/draft/", projects.project_draft, name="project-draft"),
    path("projects/-/attribute/", projects.project_attribute, name="project-attribute"),
    path("projects/-/look-up/", patients.look_ups, name="look-ups"),
    path(_PROJECT, projects.project, name="project"),
    path(f"{_PROJECT}history/", projects.project_history, name="project-history"),
    path(
        f"{_PROJECT}history/<int:version>/restore/",
        projects.project_restore,
        name="project-restore",
    ),
    path(f"{_PROJECT}remove/", projects.project_remove, name="project-remove"),
    path(f"{_PROJECT}patients/", patients.project_patients, name="project-patients"),
    path(f"{_PROJECT}look-up/", patients.project_look_up, name="project-look-up"),
    path(f"{_PROJECT}import/", patients.project_import, name="project-import"),
    path(f"{_PROJECT}export/", patients.project_export, name="project-export"),
    path(f"{_PROJECT}secret/", patients.project_secret, name="project-secret"),
]
