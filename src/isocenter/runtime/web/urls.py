"""Addresses of the pages."""

from __future__ import annotations

from django.urls import path

from isocenter.runtime.web import views

urlpatterns = [
    path("", views.status, name="status"),
    path("status.css", views.stylesheet, name="stylesheet"),
    path("health/live", views.live, name="live"),
    path("health/ready", views.ready, name="ready"),
]
