from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_chain")]

    operations = [
        migrations.AddIndex(
            model_name="eventseal",
            index=models.Index(fields=["last_turn", "last_id"], name="seal_place"),
        ),
    ]
