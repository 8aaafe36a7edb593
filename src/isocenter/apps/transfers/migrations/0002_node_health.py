import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('transfers', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='node',
            name='rate_mb_s',
            field=models.FloatField(blank=True, null=True),
        ),
        migrations.CreateModel(
            name='NodeHealth',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('checked_at', models.DateTimeField()),
                ('is_ok', models.BooleanField()),
                ('took_ms', models.IntegerField()),
                ('message', models.TextField(default='')),
                ('since', models.DateTimeField()),
                ('node', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='health', to='transfers.node')),
            ],
        ),
    ]
