"""Django's settings, made from ours. `runtime.boot.boot()` fills in the database."""

from __future__ import annotations

from isocenter.runtime.boot import django_settings
from isocenter.runtime.layout import Layout
from isocenter.runtime.settings import Settings

_values = django_settings()
globals().update(_values)

# Named once more for the type checker.
ISOCENTER: Settings = _values["ISOCENTER"]
LAYOUT: Layout = _values["LAYOUT"]
