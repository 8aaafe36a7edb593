

from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='Node',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.SlugField(max_length=64, unique=True)),
                ('kind', models.CharField(choices=[('dimse', 'Dimse'), ('folder', 'Folder')], max_length=16)),
                ('ae_title', models.CharField(blank=True, default='', max_length=16)),
                ('host', models.CharField(blank=True, default='', max_length=255)),
                ('port', models.IntegerField(blank=True, null=True)),
                ('calling_ae_title', models.CharField(blank=True, default='', max_length=16)),
                ('folder', models.CharField(blank=True, default='', max_length=1024)),
                ('tls', models.JSONField(blank=True, default=dict)),
                ('max_associations', models.IntegerField(default=2)),
                ('timeout_s', models.FloatField(blank=True, null=True)),
                ('can_query', models.BooleanField(default=False)),
                ('enabled', models.BooleanField(default=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('changed_at', models.DateTimeField(auto_now=True)),
            ],
        ),
    ]
