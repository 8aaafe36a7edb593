from django.db import migrations, models


def take_over(apps, schema_editor):
    """Runs are held to what their routes say now."""
    run = apps.get_model("routing", "Run")
    run.objects.filter(route__deidentified_only=True).update(deidentified_only=True)


class Migration(migrations.Migration):
    dependencies = [
        ("routing", "0006_artifact_domain"),
    ]

    operations = [
        migrations.AddField(
            model_name="run",
            name="deidentified_only",
            field=models.BooleanField(default=False),
        ),
        migrations.RunPython(take_over, migrations.RunPython.noop),
    ]
