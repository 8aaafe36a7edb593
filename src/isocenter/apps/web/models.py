"""Searches that people keep."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from isocenter.apps.accounts.models import Group


class SavedFilter(models.Model):
    """A search of the worklist under a name; seen by its owner, and by a group if shared."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_filters"
    )
    name = models.CharField(max_length=64)
    values = models.JSONField(default=dict)  # what the search form takes
    group = models.ForeignKey(
        Group, null=True, blank=True, on_delete=models.CASCADE, related_name="saved_filters"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="saved_filter_once")]
        ordering = ["name", "pk"]
