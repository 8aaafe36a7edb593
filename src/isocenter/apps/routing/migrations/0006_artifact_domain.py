from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("routing", "0005_filters_and_outputs"),
    ]

    operations = [
        migrations.AddField(
            model_name="artifact",
            name="domain",
            field=models.CharField(blank=True, default="", max_length=64),
        ),
    ]
