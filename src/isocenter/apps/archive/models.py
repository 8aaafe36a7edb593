"""What is stored: sources, studies, series, instances, revisions."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Source(models.Model):
    """Where instances came from: a calling AE at an address, an import, a watched folder."""

    class Kind(models.TextChoices):
        DIMSE = "dimse"
        IMPORT = "import"
        WATCH = "watch"
        UPLOAD = "upload"
        DERIVED = "derived"

    kind = models.CharField(max_length=16, choices=Kind)
    calling_ae_title = models.CharField(max_length=16, default="")
    called_ae_title = models.CharField(max_length=16, default="")
    address = models.CharField(max_length=255, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "calling_ae_title", "called_ae_title", "address"],
                name="source_once",
            )
        ]


class Study(models.Model):
    """A study and where it stands."""

    class State(models.TextChoices):
        RECEIVING = "receiving", "receiving"  # instances still come in
        WAITING = "waiting", "waiting"  # quiet, but something is missing
        COMPLETE = "complete", "complete"  # the newest content has a revision
        HELD = "held", "held"  # waited too long; the policy wants a person

    study_uid = models.CharField(max_length=255, unique=True)
    patient_id = models.CharField(max_length=255, default="")
    issuer_of_patient_id = models.CharField(max_length=255, default="")
    patient_name = models.CharField(max_length=1024, default="")
    patient_birth_date = models.CharField(max_length=32, default="")
    patient_sex = models.CharField(max_length=32, default="")
    study_date = models.CharField(max_length=32, default="")
    study_time = models.CharField(max_length=32, default="")
    accession_number = models.CharField(max_length=255, default="")
    study_id = models.CharField(max_length=255, default="")
    timezone_offset_from_utc = models.CharField(max_length=32, default="")
    study_description = models.CharField(max_length=1024, default="")
    referring_physician_name = models.CharField(max_length=1024, default="")
    modalities = ArrayField(models.CharField(max_length=32), default=list)
    series_count = models.IntegerField(default=0)
    instance_count = models.IntegerField(default=0)  # received, derived ones not counted
    source = models.ForeignKey(Source, null=True, on_delete=models.PROTECT)  # the last sender

    state = models.CharField(max_length=16, choices=State, default=State.RECEIVING)
    waiting_for = models.JSONField(default=list)  # sentences
    flags = models.JSONField(default=list)  # [{"code", "text"}], kept for a person to see
    warnings = models.JSONField(default=list)  # sentences; no reason to wait
    first_received_at = models.DateTimeField()
    last_received_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)  # when completion looks at it again
    complete_at = models.DateTimeField(null=True)
    revision = models.IntegerField(default=0)  # newest revision's number, 0 = none yet
    complete_revision = models.IntegerField(
        default=0
    )  # newest one the default rule was content with
    remote_node = models.CharField(max_length=64, default="")  # the source node that can count
    remote_instances = models.IntegerField(null=True)  # what the source node counts; null: unknown
    remote_asked_at = models.DateTimeField(null=True)
    remote_checked_at = models.DateTimeField(null=True)
    protected = models.BooleanField(default=False)  # neither a person nor retention deletes it
    protected_by = models.CharField(max_length=255, default="")  # who said so last, either way
    protected_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["due_at"], name="study_due", condition=models.Q(due_at__isnull=False)
            ),
            models.Index(fields=["-last_received_at", "-id"], name="study_recent"),
            models.Index(fields=["patient_id"], name="study_patient"),
            models.Index(fields=["accession_number"], name="study_accession"),
        ]


class StudySearch(models.Model):
    """What is searched of a study, as it is compared; written only when that changes.

    Texts have collation C, so that beginnings are found by an index whatever the database's is.
    Derived series count here: who asks by DICOM sees all that is stored.
    """

    study = models.OneToOneField(
        Study, on_delete=models.CASCADE, primary_key=True, related_name="search"
    )
    patient_key = models.TextField(db_collation="C")  # the same for studies of one patient
    patient_id = models.TextField(db_collation="C")
    issuer_of_patient_id = models.TextField(db_collation="C")
    patient_name = models.TextField(db_collation="C")  # folded, component groups joined by =
    patient_birth_date = models.TextField(db_collation="C")  # 8 digits or empty, as all dates
    patient_sex = models.TextField(db_collation="C")
    study_date = models.TextField(db_collation="C")
    study_time = models.TextField(db_collation="C")  # 12 digits or empty
    accession_number = models.TextField(db_collation="C")
    study_identifier = models.TextField(db_collation="C")
    study_description = models.TextField(db_collation="C")  # folded
    referring_physician_name = models.TextField(db_collation="C")  # folded
    modalities = ArrayField(models.TextField(db_collation="C"))
    sop_classes = ArrayField(models.TextField(db_collation="C"))
    pieces = ArrayField(models.IntegerField())  # of words and whole values: `search.tokens`

    class Meta:
        indexes = [
            models.Index(fields=["study_date", "study"], name="search_date"),
            models.Index(fields=["patient_key", "study"], name="search_patient"),
            models.Index(fields=["patient_id"], name="search_patient_id"),
            models.Index(fields=["accession_number"], name="search_accession"),
        ]


class SearchFilling(models.Model):
    """How far studies that were here before their rows of `StudySearch` have got theirs."""

    version = models.IntegerField(unique=True)  # of what the rows hold: `search.search_rows`
    next_study = models.BigIntegerField()  # this one and those of smaller numbers lack theirs


class Series(models.Model):
    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="series")
    series_uid = models.CharField(max_length=255)
    modality = models.CharField(max_length=32, default="")
    series_number = models.IntegerField(null=True)
    series_description = models.CharField(max_length=1024, default="")
    body_part_examined = models.CharField(max_length=255, default="")
    frame_of_reference_uid = models.CharField(max_length=255, default="")
    series_date = models.CharField(max_length=32, default="")
    series_time = models.CharField(max_length=32, default="")
    laterality = models.CharField(max_length=32, default="")
    protocol_name = models.CharField(max_length=255, default="")
    manufacturer = models.CharField(max_length=255, default="")
    manufacturer_model_name = models.CharField(max_length=255, default="")
    station_name = models.CharField(max_length=255, default="")
    institution_name = models.CharField(max_length=255, default="")
    performed_procedure_step_start_date = models.CharField(max_length=32, default="")
    performed_procedure_step_start_time = models.CharField(max_length=32, default="")
    request_attributes = models.JSONField(default=list)  # [{keyword: value}], one per item
    folded = models.JSONField(default=dict)  # column → folded text, where it is not lower() of it
    instance_count = models.IntegerField(default=0)
    is_derived = models.BooleanField(default=False)  # made by a run of ours

    class Meta:
        constraints = [models.UniqueConstraint(fields=["study", "series_uid"], name="series_once")]
        indexes = [
            models.Index(fields=["series_uid"], name="series_uid"),
            models.Index(
                fields=["study"], name="series_derived", condition=models.Q(is_derived=True)
            ),
        ]


class Instance(models.Model):
    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="instances")
    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="instances")
    sop_uid = models.CharField(max_length=255, unique=True)
    sop_class_uid = models.CharField(max_length=255)
    transfer_syntax_uid = models.CharField(max_length=255)
    instance_number = models.IntegerField(null=True)
    rows = models.IntegerField(null=True)
    columns = models.IntegerField(null=True)
    number_of_frames = models.IntegerField(null=True)
    bits_allocated = models.IntegerField(null=True)
    path = models.CharField(max_length=1024)  # relative to the archive folder
    size = models.BigIntegerField()
    digest = models.CharField(max_length=64)  # SHA-256 of the data set, without file meta
    source = models.ForeignKey(Source, null=True, on_delete=models.PROTECT)
    received_at = models.DateTimeField()
    revision = models.IntegerField(null=True)  # first revision that has it; null = newer than all
    is_derived = models.BooleanField(default=False)
    modality = models.CharField(max_length=32, default="")
    references = models.JSONField(default=dict)  # {"series": [...], "instances": [...]} named by it

    class Meta:
        indexes = [models.Index(fields=["study", "revision"], name="instance_revision")]


class Revision(models.Model):
    """State of a study at one completion. Its inputs: instances with revision <= number."""

    class Reason(models.TextChoices):
        COMPLETE = "complete"
        FORCED = "forced"  # the force-complete time was over
        MANUAL = "manual"  # a person said so

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="revisions")
    number = models.IntegerField()
    reason = models.CharField(max_length=16, choices=Reason)
    missing = models.JSONField(default=list)  # what was waited for in vain when forced
    instance_count = models.IntegerField()
    digest = models.CharField(max_length=64)  # over sorted (SOPInstanceUID, digest)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["study", "number"], name="revision_once")]


class SpoolCursor(models.Model):
    """How far a spool file has been taken in; written in the transaction of the rows."""

    name = models.CharField(max_length=255, unique=True)
    offset = models.BigIntegerField()


class Tombstone(models.Model):
    """Files whose rows are gone: written in the transaction that deletes the rows, gone itself
    when the last file is. A crash between them is made good by the next sweep."""

    study_uid = models.CharField(max_length=255, default="")
    instances = models.JSONField(default=list)  # paths relative to the archive
    paths = models.JSONField(default=list)  # files and folders, relative to the data directory
    reports = models.JSONField(default=list)  # absolute: their folder can be set
    at = models.DateTimeField()
