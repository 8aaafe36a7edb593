

import django.contrib.postgres.fields
import django.db.models.deletion
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('archive', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Pipeline',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.SlugField(max_length=64, unique=True)),
                ('description', models.TextField(blank=True, default='')),
                ('steps', models.JSONField(default=list)),
                ('changed_at', models.DateTimeField(auto_now=True)),
            ],
        ),
        migrations.CreateModel(
            name='Delivery',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('node_name', models.CharField(max_length=64)),
                ('target', models.JSONField(default=dict)),
                ('state', models.CharField(choices=[('queued', 'Queued'), ('sending', 'Sending'), ('waiting', 'Waiting'), ('done', 'Done'), ('failed', 'Failed'), ('cancelled', 'Cancelled')], default='queued', max_length=16)),
                ('attempts', models.IntegerField(default=0)),
                ('next_attempt_at', models.DateTimeField(null=True)),
                ('reason', models.TextField(default='')),
                ('lease_token', models.UUIDField(null=True)),
                ('lease_until', models.DateTimeField(null=True)),
                ('cancel_requested', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('finished_at', models.DateTimeField(null=True)),
                ('study', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='archive.study')),
            ],
        ),
        migrations.CreateModel(
            name='Route',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.SlugField(max_length=64, unique=True)),
                ('description', models.TextField(blank=True, default='')),
                ('enabled', models.BooleanField(default=True)),
                ('disabled_reason', models.TextField(blank=True, default='')),
                ('priority', models.IntegerField(default=0)),
                ('condition', models.TextField(blank=True, default='')),
                ('destinations', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=64), blank=True, default=list, size=None)),
                ('completion', models.JSONField(blank=True, default=dict)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('changed_at', models.DateTimeField(auto_now=True)),
                ('pipeline', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='routes', to='routing.pipeline')),
            ],
        ),
        migrations.CreateModel(
            name='Run',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('route_name', models.CharField(default='', max_length=64)),
                ('pipeline_name', models.CharField(max_length=64)),
                ('definition', models.JSONField()),
                ('state', models.CharField(choices=[('queued', 'Queued'), ('running', 'Running'), ('done', 'Done'), ('failed', 'Failed'), ('cancelled', 'Cancelled')], default='queued', max_length=16)),
                ('priority', models.IntegerField(default=0)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('started_at', models.DateTimeField(null=True)),
                ('finished_at', models.DateTimeField(null=True)),
                ('cancel_requested', models.BooleanField(default=False)),
                ('reason', models.TextField(default='')),
                ('trace', models.TextField(default='')),
                ('lease_token', models.UUIDField(null=True)),
                ('lease_until', models.DateTimeField(null=True)),
                ('worker', models.CharField(default='', max_length=255)),
                ('actor', models.CharField(default='', max_length=255)),
                ('reports', models.JSONField(default=list)),
                ('pipeline', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, to='routing.pipeline')),
                ('revision', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='runs', to='archive.revision')),
                ('route', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, to='routing.route')),
                ('study', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='runs', to='archive.study')),
            ],
        ),
        migrations.CreateModel(
            name='QuarantineItem',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('instance', 'Instance'), ('run', 'Run'), ('delivery', 'Delivery')], max_length=16)),
                ('state', models.CharField(choices=[('held', 'Held'), ('retrying', 'Retrying'), ('resolved', 'Resolved'), ('released', 'Released'), ('deleted', 'Deleted')], default='held', max_length=16)),
                ('reason', models.TextField()),
                ('trace', models.TextField(default='')),
                ('study_uid', models.CharField(db_index=True, default='', max_length=255)),
                ('sop_uid', models.CharField(default='', max_length=255)),
                ('source', models.CharField(default='', max_length=255)),
                ('path', models.CharField(default='', max_length=1024)),
                ('size', models.BigIntegerField(default=0)),
                ('digest', models.CharField(default='', max_length=64)),
                ('attempts', models.IntegerField(default=1)),
                ('first_at', models.DateTimeField(auto_now_add=True)),
                ('last_at', models.DateTimeField(auto_now=True)),
                ('delivery', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, to='routing.delivery')),
                ('run', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, to='routing.run')),
            ],
        ),
        migrations.AddField(
            model_name='delivery',
            name='run',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='routing.run'),
        ),
        migrations.CreateModel(
            name='Artifact',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=32)),
                ('role', models.CharField(default='', max_length=64)),
                ('determinant', models.CharField(max_length=64)),
                ('path', models.CharField(max_length=1024)),
                ('size', models.BigIntegerField()),
                ('digest', models.CharField(max_length=64)),
                ('sop_uid', models.CharField(db_index=True, default='', max_length=255)),
                ('series_uid', models.CharField(default='', max_length=255)),
                ('sop_class_uid', models.CharField(default='', max_length=255)),
                ('state', models.CharField(choices=[('intermediate', 'Intermediate'), ('active', 'Active'), ('superseded', 'Superseded')], default='active', max_length=16)),
                ('published_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('study', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='artifacts', to='archive.study')),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='artifacts', to='routing.run')),
            ],
        ),
        migrations.CreateModel(
            name='RunStep',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('index', models.IntegerField()),
                ('name', models.CharField(max_length=64)),
                ('version', models.CharField(default='', max_length=32)),
                ('parameters', models.JSONField(default=dict)),
                ('state', models.CharField(choices=[('pending', 'Pending'), ('running', 'Running'), ('done', 'Done'), ('failed', 'Failed'), ('cancelled', 'Cancelled'), ('skipped', 'Skipped')], default='pending', max_length=16)),
                ('progress', models.FloatField(default=0)),
                ('message', models.TextField(default='')),
                ('attempt', models.IntegerField(default=0)),
                ('started_at', models.DateTimeField(null=True)),
                ('finished_at', models.DateTimeField(null=True)),
                ('inputs', models.JSONField(default=list)),
                ('result', models.JSONField(default=dict)),
                ('reason', models.TextField(default='')),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='steps', to='routing.run')),
            ],
            options={
                'ordering': ['index'],
            },
        ),
        migrations.CreateModel(
            name='ArtifactUse',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('artifact', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='uses', to='routing.artifact')),
                ('consumed_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='consumes', to='routing.runstep')),
                ('step', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='outputs', to='routing.runstep')),
            ],
        ),
        migrations.AddField(
            model_name='artifact',
            name='step',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='artifacts', to='routing.runstep'),
        ),
        migrations.CreateModel(
            name='DeliveryItem',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('sop_uid', models.CharField(default='', max_length=255)),
                ('path', models.CharField(max_length=1024)),
                ('digest', models.CharField(max_length=64)),
                ('state', models.CharField(choices=[('pending', 'Pending'), ('sent', 'Sent'), ('refused', 'Refused')], default='pending', max_length=16)),
                ('status', models.IntegerField(null=True)),
                ('note', models.TextField(default='')),
                ('sent_at', models.DateTimeField(null=True)),
                ('delivery', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='items', to='routing.delivery')),
            ],
            options={
                'indexes': [models.Index(fields=['digest', 'state'], name='item_digest')],
                'constraints': [models.UniqueConstraint(fields=('delivery', 'path'), name='item_once')],
            },
        ),
        migrations.CreateModel(
            name='RouteEvaluation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('matched', models.BooleanField()),
                ('reason', models.TextField()),
                ('at', models.DateTimeField(auto_now_add=True)),
                ('revision', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='evaluations', to='archive.revision')),
                ('route', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='routing.route')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('route', 'revision'), name='evaluated_once')],
            },
        ),
        migrations.AddIndex(
            model_name='run',
            index=models.Index(fields=['state', '-priority', 'created_at'], name='run_queue'),
        ),
        migrations.AddConstraint(
            model_name='run',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'running')), fields=('study', 'pipeline_name'), name='one_run_at_once'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(fields=['state', 'next_attempt_at'], name='delivery_queue'),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.UniqueConstraint(fields=('run', 'node_name'), name='delivery_once'),
        ),
        migrations.AddConstraint(
            model_name='runstep',
            constraint=models.UniqueConstraint(fields=('run', 'index'), name='step_once'),
        ),
        migrations.AddConstraint(
            model_name='artifactuse',
            constraint=models.UniqueConstraint(fields=('step', 'artifact'), name='artifact_used_once'),
        ),
        migrations.AddIndex(
            model_name='artifact',
            index=models.Index(fields=['study', 'determinant'], name='artifact_determinant'),
        ),
        migrations.AddConstraint(
            model_name='artifact',
            constraint=models.UniqueConstraint(fields=('run', 'path'), name='artifact_once'),
        ),
    ]
