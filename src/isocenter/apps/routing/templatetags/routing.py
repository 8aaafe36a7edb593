"""What templates of this app need: ``{% load routing %}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import template

from isocenter.apps.routing.documents import write_yaml

register = template.Library()


@register.filter
def as_yaml(value: Any) -> str:
    """A mapping as people like to read it."""
    return write_yaml(value).rstrip() if isinstance(value, Mapping) else str(value)
