"""Django's settings, made from ours. `runtime.boot.boot()` fills in the database."""

from __future__ import annotations

from isocenter.runtime.boot import django_settings

globals().update(django_settings())
