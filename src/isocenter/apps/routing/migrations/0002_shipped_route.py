"""The route that Isocenter is shipped with: there, and off until it has a destination."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.db import migrations

EXAMPLE = Path(__file__).parent.parent / "examples" / "rt-overlay.yaml"


def install(apps: Any, schema_editor: Any) -> None:
    import yaml

    content = yaml.safe_load(EXAMPLE.read_text("utf-8"))
    (pipeline,), (route,) = content["pipelines"], content["routes"]
    stored, is_new = apps.get_model("routing", "Pipeline").objects.get_or_create(
        name=pipeline["name"],
        defaults={"description": pipeline["description"], "steps": pipeline["steps"]},
    )
    if is_new:
        values = {**route, "pipeline": stored}
        apps.get_model("routing", "Route").objects.get_or_create(
            name=values.pop("name"), defaults=values
        )


class Migration(migrations.Migration):
    dependencies = [("routing", "0001_initial")]
    operations = [migrations.RunPython(install, migrations.RunPython.noop)]
