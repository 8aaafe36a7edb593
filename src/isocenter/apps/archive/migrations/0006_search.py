"""The table that is searched, and more columns of series and instances. Rows of studies that are
here already are made afterwards, in the background: `apps.archive.search.filling`."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


def _text(**options):
    return models.TextField(db_collation="C", **options)


def _column(length=255):
    return models.CharField(default="", max_length=length)


SERIES = {
    "series_date": 32,
    "series_time": 32,
    "laterality": 32,
    "protocol_name": 255,
    "manufacturer": 255,
    "manufacturer_model_name": 255,
    "station_name": 255,
    "institution_name": 255,
    "performed_procedure_step_start_date": 32,
    "performed_procedure_step_start_time": 32,
}
TEXTS = (
    "patient_key",
    "patient_id",
    "issuer_of_patient_id",
    "patient_name",
    "patient_birth_date",
    "patient_sex",
    "study_date",
    "study_time",
    "accession_number",
    "study_identifier",
    "study_description",
    "referring_physician_name",
)

# A short pending list, as the words' index has it: searches read all of it.
PIECES = """
CREATE INDEX search_pieces ON archive_studysearch
    USING gin (pieces) WITH (gin_pending_list_limit = 256)
"""


class Migration(migrations.Migration):
    dependencies = [("archive", "0005_name_pairs")]

    operations = [
        migrations.AddField("study", "timezone_offset_from_utc", _column(32)),
        *(migrations.AddField("series", name, _column(length)) for name, length in SERIES.items()),
        migrations.AddField("series", "request_attributes", models.JSONField(default=list)),
        migrations.AddField("series", "folded", models.JSONField(default=dict)),
        migrations.AddField("instance", "bits_allocated", models.IntegerField(null=True)),
        migrations.CreateModel(
            name="SearchFilling",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("version", models.IntegerField(unique=True)),
                ("next_study", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="StudySearch",
            fields=[
                (
                    "study",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="search",
                        serialize=False,
                        to="archive.study",
                    ),
                ),
                *((name, _text()) for name in TEXTS),
                (
                    "modalities",
                    django.contrib.postgres.fields.ArrayField(base_field=_text(), size=None),
                ),
                (
                    "sop_classes",
                    django.contrib.postgres.fields.ArrayField(base_field=_text(), size=None),
                ),
                (
                    "pieces",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.IntegerField(), size=None
                    ),
                ),
            ],
        ),
        *(
            migrations.AddIndex("studysearch", models.Index(fields=fields, name=name))
            for name, fields in (
                ("search_date", ["study_date", "study"]),
                ("search_patient", ["patient_key", "study"]),
                ("search_patient_id", ["patient_id"]),
                ("search_accession", ["accession_number"]),
            )
        ),
        migrations.RunSQL(PIECES, "DROP INDEX search_pieces"),
    ]
