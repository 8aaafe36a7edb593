"""Events and seals only grow, and each event knows the turn of its transaction.

``turn`` is the number of the writing transaction. All transactions below the oldest one that is
still open are over, so what has a lower turn than that is complete, however late it was committed.
A database that was restored into a new server counts transactions from the start again:
``audit_turn_offset`` is then set so that turns go on growing.
"""

from django.db import migrations, models

FORWARD = """
CREATE SEQUENCE audit_turn_offset MINVALUE 0 START 0;
SELECT setval('audit_turn_offset', 0, true);
ALTER TABLE audit_event ADD COLUMN turn bigint NOT NULL DEFAULT 0;
ALTER TABLE audit_event ALTER COLUMN turn SET DEFAULT
    pg_current_xact_id()::text::bigint + pg_sequence_last_value('audit_turn_offset'::regclass);
CREATE INDEX event_turn ON audit_event (turn);

CREATE FUNCTION audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is not allowed', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER event_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_event
    FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows();
CREATE TRIGGER seal_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_eventseal
    FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows();
"""
BACKWARD = """
DROP TRIGGER seal_only_grows ON audit_eventseal;
DROP TRIGGER event_only_grows ON audit_event;
DROP FUNCTION audit_only_grows();
ALTER TABLE audit_event DROP COLUMN turn;
DROP SEQUENCE audit_turn_offset;
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="EventSeal",
            fields=[
                ("number", models.BigIntegerField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("previous_hash", models.CharField(max_length=64)),
                ("hash", models.CharField(max_length=64)),
                ("count", models.IntegerField()),
                ("last_turn", models.BigIntegerField()),
                ("last_id", models.BigIntegerField()),
            ],
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(
                condition=models.Q(("actor", ""), _negated=True),
                fields=["actor", "at"],
                name="event_actor",
            ),
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
