"""Addresses of the pages of this app."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from isocenter.apps.web import system_views, views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.worklist, name="worklist"),
    path("filters/", views.save_filter, name="filter-save"),
    path("filters/<int:key>/delete/", views.delete_filter, name="filter-delete"),
    path("system/", system_views.system, name="system"),
    path("settings/", system_views.settings_page, name="settings"),
]
