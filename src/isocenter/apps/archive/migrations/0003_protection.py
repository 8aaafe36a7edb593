from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("archive", "0002_worklist")]

    operations = [
        migrations.AddField("study", "protected", models.BooleanField(default=False)),
        migrations.AddField("study", "protected_by", models.CharField(max_length=255, default="")),
        migrations.AddField("study", "protected_at", models.DateTimeField(null=True)),
        migrations.AddIndex(
            "series",
            models.Index(
                condition=models.Q(("is_derived", True)), fields=["study"], name="series_derived"
            ),
        ),
        migrations.CreateModel(
            name="Tombstone",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("study_uid", models.CharField(default="", max_length=255)),
                ("instances", models.JSONField(default=list)),
                ("paths", models.JSONField(default=list)),
                ("reports", models.JSONField(default=list)),
                ("at", models.DateTimeField()),
            ],
        ),
    ]
