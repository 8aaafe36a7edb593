"""Indexes of the filters of runs, and which outputs retention took already."""

import django.db.models.fields.json
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("archive", "0004_upload_source"),
        ("routing", "0004_history_and_lists"),
    ]

    operations = [
        migrations.AddField(
            model_name="run",
            name="outputs_dropped_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(fields=["node_name"], name="delivery_node"),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                django.db.models.fields.json.KeyTransform("node", "target"), name="delivery_target"
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(fields=["pipeline_name", "-created_at", "-id"], name="run_pipeline"),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(fields=["route_name", "-created_at", "-id"], name="run_route"),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("outputs_dropped_at__isnull", True)),
                fields=["finished_at"],
                name="run_outputs",
            ),
        ),
    ]
