"""What a node may do with us, and nodes that are DICOMweb services."""

import isocenter.apps.transfers.models
from django.db import migrations, models


def only_dicom_systems_call(apps, _):
    node = apps.get_model("transfers", "Node")
    node.objects.exclude(kind="dimse").update(allows=[])


class Migration(migrations.Migration):

    dependencies = [("transfers", "0002_node_health")]

    operations = [
        migrations.AlterField(
            model_name="node",
            name="kind",
            field=models.CharField(
                choices=[("dimse", "Dimse"), ("folder", "Folder"), ("dicomweb", "Dicomweb")],
                max_length=16,
            ),
        ),
        migrations.AddField(
            model_name="node",
            name="allows",
            field=models.JSONField(blank=True, default=isocenter.apps.transfers.models.only_store),
        ),
        migrations.RunPython(only_dicom_systems_call, migrations.RunPython.noop),
        migrations.AddField(
            model_name="node",
            name="demands",
            field=models.CharField(
                blank=True,
                choices=[("", "Nothing"), ("tls", "Tls"), ("certificate", "Certificate")],
                default="",
                max_length=16,
            ),
        ),
        migrations.AddField(
            model_name="node",
            name="wants_commitment",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="node",
            name="url",
            field=models.CharField(blank=True, default="", max_length=2048),
        ),
        migrations.AddField(
            model_name="node",
            name="username",
            field=models.CharField(blank=True, default="", max_length=255),
        ),
        migrations.AddField(
            model_name="node",
            name="secret",
            field=models.TextField(blank=True, default=""),
        ),
    ]
