"""Storage Commitment: what others asked us to keep, and what we asked of others."""

from __future__ import annotations

from django.db import models


class CommitmentPromise(models.Model):
    """A request of a node; we owe it the outcome."""

    class State(models.TextChoices):
        OWED = "owed"
        REPORTED = "reported"
        GIVEN_UP = "given up"  # the node took no result, whatever we tried

    node_name = models.CharField(max_length=64)
    transaction_uid = models.CharField(max_length=64)
    references = models.JSONField()  # [[SOP class UID, SOP instance UID], …]
    state = models.CharField(max_length=16, choices=State, default=State.OWED)
    attempts = models.IntegerField(default=0)
    committed = models.IntegerField(null=True)
    failed = models.IntegerField(null=True)
    reason = models.TextField(default="")
    asked_at = models.DateTimeField()
    next_at = models.DateTimeField()  # when to try; who tries puts it off first
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["node_name", "transaction_uid"], name="promise_once")
        ]
        indexes = [models.Index(fields=["state", "next_at"], name="promise_state")]


class CommitmentRequest(models.Model):
    """What we asked a node to keep for a delivery."""

    class State(models.TextChoices):
        ASKED = "asked"
        ANSWERED = "answered"
        SILENT = "silent"  # no result in time

    node_name = models.CharField(max_length=64)
    transaction_uid = models.CharField(max_length=64, unique=True)
    delivery = models.ForeignKey(
        "routing.Delivery", on_delete=models.CASCADE, related_name="commitments"
    )
    references = models.JSONField()  # [[SOP class UID, SOP instance UID], …]
    state = models.CharField(max_length=16, choices=State, default=State.ASKED)
    failures = models.JSONField(default=dict)  # {SOP instance UID: reason as a number}
    asked_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["state", "expires_at"], name="commitment_state")]
