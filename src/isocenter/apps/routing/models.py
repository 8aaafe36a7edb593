"""Routes, pipelines, runs, artifacts, deliveries, quarantine."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.fields.json import KeyTransform

from isocenter.apps.archive.models import Revision, Study


class Pipeline(models.Model):
    """An ordered list of steps: ``[{"step": "contours", "with": {...}}, ...]``."""

    name = models.SlugField(max_length=64, unique=True)
    description = models.TextField(default="", blank=True)
    steps = models.JSONField(default=list)
    changed_at = models.DateTimeField(auto_now=True)


class Route(models.Model):
    """Condition → pipeline → destinations."""

    name = models.SlugField(max_length=64, unique=True)
    description = models.TextField(default="", blank=True)
    enabled = models.BooleanField(default=True)
    disabled_reason = models.TextField(default="", blank=True)
    priority = models.IntegerField(default=0)  # higher first
    condition = models.TextField(default="", blank=True)  # empty: every study
    pipeline = models.ForeignKey(Pipeline, on_delete=models.PROTECT, related_name="routes")
    destinations = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    deidentified_only = models.BooleanField(default=False)  # nothing identified leaves by it
    completion = models.JSONField(default=dict, blank=True)  # overrides, see CompletionRule
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)


class RouteChange(models.Model):
    """One change of a route or a pipeline: who, when, and the YAML before and after it."""

    class Kind(models.TextChoices):
        ROUTE = "route"
        PIPELINE = "pipeline"

    kind = models.CharField(max_length=16, choices=Kind)
    name = models.CharField(max_length=64)
    change = models.CharField(max_length=16)  # made, changed, removed
    actor = models.CharField(max_length=255, default="")
    at = models.DateTimeField(auto_now_add=True)
    before = models.TextField(default="")  # empty: it was made
    after = models.TextField(default="")  # empty: it was removed
    note = models.TextField(default="")

    class Meta:
        indexes = [models.Index(fields=["kind", "name", "-id"], name="route_history")]


class RouteEvaluation(models.Model):
    """What a route said of a revision, and why."""

    route = models.ForeignKey(Route, on_delete=models.CASCADE)
    revision = models.ForeignKey(Revision, on_delete=models.CASCADE, related_name="evaluations")
    matched = models.BooleanField()
    reason = models.TextField()
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["route", "revision"], name="evaluated_once")]


class Run(models.Model):
    """One pipeline on one revision of a study."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"  # and in quarantine, with its reason
        CANCELLED = "cancelled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    route = models.ForeignKey(Route, null=True, on_delete=models.SET_NULL)
    pipeline = models.ForeignKey(Pipeline, null=True, on_delete=models.SET_NULL)
    route_name = models.CharField(max_length=64, default="")
    pipeline_name = models.CharField(max_length=64)
    definition = models.JSONField()  # steps and destinations as they were
    # Nothing identified leaves by it: as its route says, and once that is gone as it said.
    deidentified_only = models.BooleanField(default=False)
    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="runs")
    revision = models.ForeignKey(Revision, on_delete=models.CASCADE, related_name="runs")
    state = models.CharField(max_length=16, choices=State, default=State.QUEUED)
    priority = models.IntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)  # dates in objects come from here
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    cancel_requested = models.BooleanField(default=False)
    reason = models.TextField(default="")
    trace = models.TextField(default="")
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    worker = models.CharField(max_length=255, default="")
    actor = models.CharField(max_length=255, default="")  # who started it; empty: its route
    reports = models.JSONField(default=list)  # files in the reports folder
    outputs_dropped_at = models.DateTimeField(null=True)  # retention took its folder

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["study", "pipeline_name"],
                condition=models.Q(state="running"),
                name="one_run_at_once",
            )
        ]
        indexes = [
            models.Index(fields=["state", "-priority", "created_at"], name="run_queue"),
            models.Index(fields=["-created_at", "-id"], name="run_newest"),
            models.Index(fields=["pipeline_name", "-created_at", "-id"], name="run_pipeline"),
            models.Index(fields=["route_name", "-created_at", "-id"], name="run_route"),
            models.Index(
                fields=["finished_at"],
                name="run_outputs",
                condition=models.Q(outputs_dropped_at__isnull=True),
            ),
        ]


class RunStep(models.Model):
    class State(models.TextChoices):
        PENDING = "pending"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"
        SKIPPED = "skipped"  # an earlier step found nothing to do

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="steps")
    index = models.IntegerField()
    name = models.CharField(max_length=64)
    version = models.CharField(max_length=32, default="")
    parameters = models.JSONField(default=dict)
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    progress = models.FloatField(default=0)  # 0..1
    message = models.TextField(default="")
    attempt = models.IntegerField(default=0)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    inputs = models.JSONField(default=list)  # [{"uid" or "path", "digest"}]
    result = models.JSONField(default=dict)  # what the step says of its work
    reason = models.TextField(default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "index"], name="step_once")]
        ordering = ["index"]


class Artifact(models.Model):
    """What a step made: a DICOM instance or a file."""

    class State(models.TextChoices):
        INTERMEDIATE = "intermediate"  # a later step made something of it
        ACTIVE = "active"
        SUPERSEDED = "superseded"  # a later revision made it anew

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="artifacts")
    step = models.ForeignKey(RunStep, on_delete=models.CASCADE, related_name="artifacts")
    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="artifacts")
    kind = models.CharField(max_length=32)  # overlay, seg, preview-sc, nifti, nrrd, stl, …
    role = models.CharField(max_length=64, default="")  # for people: "GTV_Mass_CT mask"
    determinant = models.CharField(max_length=64)  # digest of all that determines the content
    path = models.CharField(max_length=1024)  # relative to the runs folder
    size = models.BigIntegerField()
    digest = models.CharField(max_length=64)  # SHA-256 of the file
    sop_uid = models.CharField(max_length=255, default="", db_index=True)
    series_uid = models.CharField(max_length=255, default="")
    sop_class_uid = models.CharField(max_length=255, default="")
    state = models.CharField(max_length=16, choices=State, default=State.ACTIVE)
    # Under whose identity it was made (see identity): empty for the patient's own.
    domain = models.CharField(max_length=64, default="", blank=True)
    published_at = models.DateTimeField(null=True)  # taken into the archive
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "path"], name="artifact_once")]
        indexes = [models.Index(fields=["study", "determinant"], name="artifact_determinant")]


class ArtifactUse(models.Model):
    """An output of a step: made by it, or by an earlier run that would have made the same."""

    step = models.ForeignKey(RunStep, on_delete=models.CASCADE, related_name="outputs")
    artifact = models.ForeignKey(Artifact, on_delete=models.CASCADE, related_name="uses")
    consumed_by = models.ForeignKey(  # the step of the same run that replaced it
        RunStep, null=True, on_delete=models.SET_NULL, related_name="consumes"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["step", "artifact"], name="artifact_used_once")
        ]


class Delivery(models.Model):
    """What goes from one run to one node."""

    class State(models.TextChoices):
        QUEUED = "queued"
        SENDING = "sending"
        WAITING = "waiting"  # for its next attempt
        DONE = "done"
        FAILED = "failed"  # given up: in quarantine, with its reason
        CANCELLED = "cancelled"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="deliveries")
    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="deliveries")
    node_name = models.CharField(max_length=64)  # return-to-sender is resolved in `target`
    target = models.JSONField(default=dict)  # {"ae_title","host","port"} for return-to-sender
    state = models.CharField(max_length=16, choices=State, default=State.QUEUED)
    attempts = models.IntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    reason = models.TextField(default="")
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    cancel_requested = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["state", "next_attempt_at"], name="delivery_queue"),
            models.Index(fields=["node_name"], name="delivery_node"),
            models.Index(KeyTransform("node", "target"), name="delivery_target"),
        ]
        constraints = [models.UniqueConstraint(fields=["run", "node_name"], name="delivery_once")]


class DeliveryItem(models.Model):
    class State(models.TextChoices):
        PENDING = "pending"
        SENT = "sent"
        REFUSED = "refused"  # for good: not tried again
        SUPERSEDED = "superseded"  # a newer run made it anew before it was sent

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="items")
    sop_uid = models.CharField(max_length=255, default="")
    path = models.CharField(max_length=1024)  # relative to the data directory
    digest = models.CharField(max_length=64)
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    status = models.IntegerField(null=True)  # last DIMSE status
    note = models.TextField(default="")  # "transcoded from … to …"
    sent_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["delivery", "path"], name="item_once")]
        indexes = [models.Index(fields=["digest", "state"], name="item_digest")]


class QuarantineItem(models.Model):
    """Something that could not be done, kept with its reason until a person decides."""

    class Kind(models.TextChoices):
        INSTANCE = "instance"  # cannot be indexed, or conflicts with one that is
        RUN = "run"
        DELIVERY = "delivery"

    class State(models.TextChoices):
        HELD = "held"
        RETRYING = "retrying"
        RESOLVED = "resolved"  # a retry worked
        RELEASED = "released"  # a person let it go
        DELETED = "deleted"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=16, choices=Kind)
    state = models.CharField(max_length=16, choices=State, default=State.HELD)
    reason = models.TextField()
    trace = models.TextField(default="")
    study_uid = models.CharField(max_length=255, default="", db_index=True)
    sop_uid = models.CharField(max_length=255, default="")
    run = models.ForeignKey(Run, null=True, on_delete=models.CASCADE)
    delivery = models.ForeignKey(Delivery, null=True, on_delete=models.CASCADE)
    source = models.CharField(max_length=255, default="")  # sender of an instance
    path = models.CharField(max_length=1024, default="")  # relative to the quarantine folder
    size = models.BigIntegerField(default=0)
    digest = models.CharField(max_length=64, default="")  # SHA-256 of an instance's file
    was_archived = models.BooleanField(default=False)  # an instance that was replaced or rejected
    attempts = models.IntegerField(default=1)
    first_at = models.DateTimeField(auto_now_add=True)
    last_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [
            models.Index(fields=["state", "-last_at", "-id"], name="quarantine_newest"),
            models.Index(fields=["sop_uid"], name="quarantine_instance"),
        ]
