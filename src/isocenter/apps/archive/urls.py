"""Addresses of the pages of this app."""

from __future__ import annotations

from urllib.parse import quote, unquote

from django.urls import URLPattern, URLResolver, path, register_converter

from isocenter.apps.archive import upload_views, views


class UidConverter:
    """A UID as one part of an address. What senders call a UID may hold anything, slashes too."""

    regex = "[^/]+"

    def to_python(self, value: str) -> str:
        return unquote(value)

    def to_url(self, value: str) -> str:
        text = quote(str(value), safe="")
        return text if text.strip(".") else text.replace(".", "%2E")  # browsers resolve dots


register_converter(UidConverter, "uid")

_STUDY = "studies/<uid:study_uid>/"

urlpatterns: list[URLPattern | URLResolver] = [
    path(_STUDY, views.study, name="study"),
    path(
        f"{_STUDY}series/<uid:series_uid>/thumbnail",
        views.series_thumbnail,
        name="series-thumbnail",
    ),
    path(f"{_STUDY}complete/", views.study_complete, name="study-complete"),
    path(f"{_STUDY}run/", views.study_run, name="study-run"),
    path(f"{_STUDY}protect/", views.study_protect, name="study-protect"),
    path(f"{_STUDY}delete/", views.study_delete, name="study-delete"),
    path(f"{_STUDY}download/", views.study_download, name="study-download"),
    path(
        f"{_STUDY}series/<uid:series_uid>/download/", views.study_download, name="series-download"
    ),
    path(f"{_STUDY}outputs/<int:output_id>/", views.study_output, name="study-output"),
    path(f"{_STUDY}previews/<uuid:run_id>/", views.study_previews, name="study-previews"),
    path(f"{_STUDY}reports/<uuid:run_id>.<str:suffix>", views.study_report, name="study-report"),
    path(
        f"{_STUDY}deliveries/<int:delivery_id>/retry/",
        views.delivery_retry,
        name="study-delivery-retry",
    ),
    path("uploads/", upload_views.uploads, name="uploads"),
    path("uploads/files", upload_views.upload_files, name="upload-file"),
    path("uploads/studies", upload_views.uploaded_studies, name="uploaded-studies"),
]
