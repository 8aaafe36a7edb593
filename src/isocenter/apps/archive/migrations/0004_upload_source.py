from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("archive", "0003_protection")]

    operations = [
        migrations.AlterField(
            "source",
            "kind",
            models.CharField(
                choices=[
                    ("dimse", "Dimse"),
                    ("import", "Import"),
                    ("watch", "Watch"),
                    ("upload", "Upload"),
                    ("derived", "Derived"),
                ],
                max_length=16,
            ),
        ),
    ]
