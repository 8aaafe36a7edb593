"""Rule sets that come with Isocenter, by name."""

from __future__ import annotations

from functools import cache
from importlib import resources

from isocenter.core.deid.rules.site_rules import RuleSet
from isocenter.core.errors import ConfigurationError

#: ``netrt``: what NETRT takes out as it is shipped. ``editor-17``: the 17 attributes of the
#: anonymisation editor of Servicio-Web.
PRESETS = ("netrt", "editor-17")


def preset_text(name: str) -> str:
    """A preset as a rule file, to be read or changed.

    Raises:
        ConfigurationError: there is no such preset.
    """
    if name not in PRESETS:
        raise ConfigurationError(
            f"there is no preset {name!r}", hint=f"presets are {', '.join(PRESETS)}"
        )
    file = resources.files("isocenter.core.deid") / "data" / f"preset_{name.replace('-', '_')}.yaml"
    return file.read_text(encoding="utf-8")


@cache
def preset(name: str) -> RuleSet:
    """A preset as rules.

    Raises:
        ConfigurationError: there is no such preset.
    """
    return RuleSet.from_yaml(preset_text(name))
