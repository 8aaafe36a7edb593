"""Events: who did what to which study, and the seals over them. No patient identity, ever.

Both tables only grow: triggers of the database refuse UPDATE, DELETE and TRUNCATE. The table of
events has one more column, ``turn``, which the database fills in (see ``sealing``); the ORM does
not know it, so that rows go in as fast as without.
"""

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
            models.Index(fields=["actor", "at"], name="event_actor", condition=~models.Q(actor="")),
        ]


class EventSeal(models.Model):
    """One link of the chain: it covers the events after the last seal's place, up to its own."""

    number = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)
    count = models.IntegerField()
    last_turn = models.BigIntegerField()
    last_id = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["last_turn", "last_id"], name="seal_place")]
