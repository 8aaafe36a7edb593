"""YAML as nodes, which know their lines, from files that other people wrote."""

from __future__ import annotations

import yaml

from isocenter.core.errors import ConfigurationError

_MOST_CHARACTERS = 2_000_000
_DEEPEST = 50


def compose(text: str, where: str) -> yaml.Node | None:
    """The root of a YAML document; None if there is nothing in it.

    Aliases are refused: a short text with them can stand for an endless one.

    Raises:
        ConfigurationError: no YAML, too long or too deep, or an alias; says ``where``.
    """
    if len(text) > _MOST_CHARACTERS:
        raise ConfigurationError(f"{where}: longer than {_MOST_CHARACTERS} characters")
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                line = f"line {event.start_mark.line + 1}: " if event.start_mark else ""
                raise ConfigurationError(f"{where}: {line}aliases (*) are not allowed")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise ConfigurationError(f"{where}: nested deeper than {_DEEPEST}")
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{where}: no YAML: {error}") from error
