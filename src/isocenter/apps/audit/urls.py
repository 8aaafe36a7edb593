"""Addresses of the pages of this app."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from isocenter.apps.audit import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("events/", views.events, name="events"),
    path("events/export/", views.export, name="events-export"),
    path("events/<int:event_id>/", views.event, name="event"),
]
