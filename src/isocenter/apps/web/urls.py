"""Addresses of the pages of this app."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from isocenter.apps.web import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.worklist, name="worklist"),
]
