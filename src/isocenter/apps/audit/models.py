"""Events: who did what to which study. No patient identity, ever."""

from __future__ import annotations

from django.db import models


class Event(models.Model):
    at = models.DateTimeField(db_index=True)
    kind = models.CharField(max_length=64)
    study_uid = models.CharField(max_length=255, default="")
    actor = models.CharField(max_length=255, default="")
    detail = models.JSONField(default=dict)

    class Meta:
        indexes = [
            models.Index(fields=["study_uid", "at"], name="event_study"),
            models.Index(fields=["kind", "at"], name="event_kind"),
        ]
