"""Addresses of the pages of this app."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from isocenter.apps.transfers import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("nodes/", views.nodes, name="nodes"),
    path("nodes/new/", views.node_new, name="node-new"),
    path("nodes/<slug:name>/", views.node, name="node"),
    path("nodes/<slug:name>/test/", views.node_test, name="node-test"),
    path("nodes/<slug:name>/remove/", views.node_remove, name="node-remove"),
]
