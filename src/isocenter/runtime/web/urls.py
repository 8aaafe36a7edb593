"""Addresses of the pages."""

from __future__ import annotations

from django.urls import include, path

from isocenter.apps.accounts.rights import Right
from isocenter.apps.dicomweb.guard import by_method
from isocenter.apps.dicomweb.later import later
from isocenter.runtime.web import views

_archive = include("isocenter.apps.archive.urls")  # says what <uid:…> is

# Viewers ask by the hundred: their addresses are looked at first.
urlpatterns = [
    path("dicom-web/", include("isocenter.apps.dicomweb.urls")),
    path("wado", by_method(GET=later("wado_uri:wado", Right.VIEW)), name="dicomweb-wado-uri"),
    path("health/live", views.live, name="live"),
    path("health/ready", views.ready, name="ready"),
    path("api/v1/", include("isocenter.apps.api.urls")),
    path("", include("isocenter.apps.web.urls")),
    path("", include("isocenter.apps.accounts.urls")),
    path("", _archive),
    path("", include("isocenter.apps.routing.urls")),
    path("", include("isocenter.apps.transfers.urls")),
    path("", include("isocenter.apps.deid.urls")),
    path("", include("isocenter.apps.audit.urls")),
]

handler400 = "isocenter.runtime.web.errors.bad_request"
handler403 = "isocenter.runtime.web.errors.not_allowed"
handler404 = "isocenter.runtime.web.errors.not_found"
handler500 = "isocenter.runtime.web.errors.server_error"
