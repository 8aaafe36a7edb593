"""Layout, worklist, system and settings pages."""

from __future__ import annotations

from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "isocenter.apps.web"
    label = "web"
