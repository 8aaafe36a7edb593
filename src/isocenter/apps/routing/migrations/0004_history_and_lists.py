"""History of routes and pipelines, indexes of lists, deliveries that a newer run replaced."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("routing", "0003_deidentified_only"),
    ]

    operations = [
        migrations.CreateModel(
            name="RouteChange",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("route", "Route"), ("pipeline", "Pipeline")], max_length=16
                    ),
                ),
                ("name", models.CharField(max_length=64)),
                ("change", models.CharField(max_length=16)),
                ("actor", models.CharField(default="", max_length=255)),
                ("at", models.DateTimeField(auto_now_add=True)),
                ("before", models.TextField(default="")),
                ("after", models.TextField(default="")),
                ("note", models.TextField(default="")),
            ],
            options={
                "indexes": [models.Index(fields=["kind", "name", "-id"], name="route_history")],
            },
        ),
        migrations.AlterField(
            model_name="deliveryitem",
            name="state",
            field=models.CharField(
                choices=[
                    ("pending", "Pending"),
                    ("sent", "Sent"),
                    ("refused", "Refused"),
                    ("superseded", "Superseded"),
                ],
                default="pending",
                max_length=16,
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(fields=["-created_at", "-id"], name="run_newest"),
        ),
        migrations.AddIndex(
            model_name="quarantineitem",
            index=models.Index(fields=["state", "-last_at", "-id"], name="quarantine_newest"),
        ),
    ]
