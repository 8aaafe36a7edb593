"""Projects of de-identification: secret, policy, and who is called what. Whatever identifies a
patient, and every secret, is sealed (see ``sealing``): the database alone tells nobody."""

from __future__ import annotations

from django.db import models


class Project(models.Model):
    name = models.SlugField(max_length=64, unique=True)
    description = models.TextField(default="", blank=True)
    document = models.JSONField()  # see documents.ProjectDocument
    sealed_secret = models.TextField()
    counter = models.BigIntegerField(default=0)  # last number that a pattern has used
    version = models.IntegerField(default=1)  # of document and description; of a name, for ever
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=255, default="")
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=255, default="")


class ProjectChange(models.Model):
    """One change of a project: who, when, and the document it had then. Outlives the project."""

    class Change(models.TextChoices):
        MADE = "made"
        CHANGED = "changed"
        REMOVED = "removed"

    name = models.CharField(max_length=64)
    version = models.IntegerField()
    change = models.CharField(max_length=16, choices=Change)
    actor = models.CharField(max_length=255, default="")
    at = models.DateTimeField(auto_now_add=True)
    description = models.TextField(default="")
    document = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name", "version"], name="project_version_once")
        ]


class MapEntry(models.Model):
    """Which pseudonym a patient of a project has.

    Digests are keyed with a secret of the project's own: they find a patient whom one knows, and
    name nobody. A patient without Patient ID is known by one study (``by_study``): several studies
    may then have one pseudonym.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="entries")
    patient_digest = models.CharField(max_length=64)  # of Patient ID within its issuer
    id_digest = models.CharField(max_length=64)  # of Patient ID alone
    issuer_digest = models.CharField(max_length=64, default="")  # that it was first used for
    sealed_patient = models.TextField()  # ["issuer", "Patient ID"]
    by_study = models.BooleanField(default=False)
    is_given = models.BooleanField(default=False)  # from a list; else made here
    pseudonym_id = models.CharField(max_length=64)
    pseudonym_name = models.CharField(max_length=64)
    days = models.IntegerField(null=True)  # shift of the dates where it is given
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=255, default="")  # empty: a run

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "patient_digest"], name="map_patient_once"),
            models.UniqueConstraint(
                fields=["project", "pseudonym_id"],
                condition=models.Q(by_study=False),
                name="map_pseudonym_once",
            ),
        ]
        indexes = [
            models.Index(fields=["project", "pseudonym_id"], name="map_pseudonym"),
            models.Index(fields=["project", "id_digest"], name="map_id"),
        ]


class LegacyEntry(models.Model):
    """A pseudonym that NETRT gave to a patient whom it kept as a hash only."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="legacy_entries")
    digest = models.CharField(max_length=64)  # keyed, of NETRT's hash
    pseudonym_id = models.CharField(max_length=64)
    pseudonym_name = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "digest"], name="legacy_patient_once"),
            models.UniqueConstraint(
                fields=["project", "pseudonym_id"], name="legacy_pseudonym_once"
            ),
        ]
