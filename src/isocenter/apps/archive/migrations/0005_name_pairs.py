"""Finds two common words of a name at once: who is called Silva and Jana.

The index of ``words`` reads all Silvas and all Janas to find those who are both. An index of the
beginnings (3 letters) of every two words of a name, ``jan+sil``, has one list for them.
"""

from django.db import migrations

PAIRS = """
CREATE FUNCTION archive_name_pairs(name text) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 10
    RETURN (
        SELECT coalesce(array_agg(DISTINCT
            least(one.start COLLATE "C", other.start COLLATE "C")
            || '+' ||
            greatest(one.start COLLATE "C", other.start COLLATE "C")
        ), '{}')
        FROM (
            SELECT left(word, 3) AS start, number
            FROM unnest(tsvector_to_array(archive_words(name, 'A'))) WITH ORDINALITY AS w(word, number)
        ) AS one
        JOIN (
            SELECT left(word, 3) AS start, number
            FROM unnest(tsvector_to_array(archive_words(name, 'A'))) WITH ORDINALITY AS w(word, number)
        ) AS other ON one.number < other.number
    );
"""

INDEX = """
CREATE INDEX study_name_pairs ON archive_study
    USING gin (archive_name_pairs(patient_name)) WITH (gin_pending_list_limit = 256)
"""


class Migration(migrations.Migration):
    dependencies = [("archive", "0004_upload_source")]

    operations = [
        migrations.RunSQL(PAIRS, "DROP FUNCTION archive_name_pairs(text)"),
        migrations.RunSQL(INDEX, "DROP INDEX study_name_pairs"),
    ]
