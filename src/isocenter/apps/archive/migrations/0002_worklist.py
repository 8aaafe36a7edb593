"""What makes the worklist fast at a million studies; `apps.archive.worklist` asks with it.

``words`` holds the words of a study with weights: A the patient's name, B patient ID, C accession
number and study ID, D description and referring physician. Modalities stand in it as they are
(capitals, where words are small), and the birth date behind a ``B``. PostgreSQL keeps it; Django's model does not know it, so nobody
loads or writes it. Separators that the standard or habit puts between words become spaces: else
PostgreSQL would read some texts as numbers, hosts or paths.
"""

from django.db import migrations

WORDS = """
CREATE FUNCTION archive_words(value text, weight "char") RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN setweight(
        to_tsvector('simple'::regconfig, translate(value, '^=-./\\_,;:@#+&*()[]{}<>|~"''!?%', repeat(' ', 32))),
        weight
    );
ALTER TABLE archive_study ADD COLUMN words tsvector GENERATED ALWAYS AS (
    archive_words(patient_name, 'A')
    || archive_words(patient_id, 'B')
    || archive_words(accession_number || ' ' || study_id, 'C')
    || archive_words(study_description || ' ' || referring_physician_name, 'D')
    || array_to_tsvector(array_remove(modalities::text[], '') || ('B' || patient_birth_date))
) STORED;
"""

# A short pending list: searches read all of it, ingest writes a few rows per second.
INDEXES = (
    ("study_words", "USING gin (words) WITH (gin_pending_list_limit = 256)"),
    ("study_date_recent", "(study_date, id)"),
    ("study_name", '(upper(patient_name) COLLATE "C", id)'),
    ("study_birth_date", "(patient_birth_date, id)"),
    ("study_description", "(study_description, id)"),
    ("study_instances", "(instance_count, id)"),
    ("study_state_recent", "(state, last_received_at, id) WHERE state <> 'complete'"),
    ("study_flagged", "(last_received_at, id) WHERE flags <> '[]'::jsonb"),
)


class Migration(migrations.Migration):
    dependencies = [("archive", "0001_initial")]

    operations = [
        migrations.RunSQL(
            WORDS,
            "ALTER TABLE archive_study DROP COLUMN words; DROP FUNCTION archive_words;",
        ),
        *(
            migrations.RunSQL(
                f"CREATE INDEX {name} ON archive_study {what}", f"DROP INDEX {name}"
            )
            for name, what in INDEXES
        ),
    ]
