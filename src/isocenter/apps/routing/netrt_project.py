"""NETRT's anonymisation as a project of de-identification.

NETRT takes a list of attributes out and leaves the rest. Here the list goes on top of the Basic
Profile (PS3.15 E.2), which takes out more: dates, times, UIDs, and texts that nobody vouches for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from isocenter.core.deid.importers import import_netrt
from isocenter.core.errors import ConfigurationError

PROJECT = "netrt"
_PRESET = "netrt"


def project_of(content: Mapping[str, Any], text: str, names: Iterable[str]) -> dict[str, Any]:
    """A document for ``deid-project create``.

    Args:
        content: of NETRT's configuration.
        text: the same as it was written, for the numbers of lines.
        names: of contours that are not drawn: they have to be known after de-identification.

    Raises:
        ConfigurationError: the section cannot be read.
    """
    document: dict[str, Any] = {
        "description": "what NETRT takes out, on top of the Basic Profile",
        "options": ["clean-descriptors"],
        "words": sorted({word for name in names for word in name.split() if word.isalpha()}),
    }
    if not isinstance(content.get("anonymization"), Mapping):
        return {**document, "presets": [_PRESET]}
    imported = import_netrt(text)
    if imported.rules.rules:
        document["rules"] = imported.rules.to_yaml()
    if not _has_rules(content["anonymization"]):
        document["presets"] = [_PRESET]
    if imported.pattern:
        document["pseudonyms"] = {
            "kind": "pattern",
            "pattern": imported.pattern,
            "site": imported.site,
        }
    return document


def _has_rules(section: Mapping[str, Any]) -> bool:
    """Whether the file has a list of its own; without one NETRT takes what it ships."""
    rules = section.get("rules")
    if rules is not None and not isinstance(rules, Mapping):
        raise ConfigurationError(f"anonymization.rules is {rules!r}; expected keys")
    return bool(rules)
