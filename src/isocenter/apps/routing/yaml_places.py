"""Where in a YAML text a path such as ``routes[0].condition`` stands."""

from __future__ import annotations

import re

import yaml

_PART = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def line_of(text: str, path: str) -> int | None:
    """The line (1, 2, …) of a path, or of as much of it as is there; None without YAML."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError):
        return None
    if node is None:
        return None
    line = node.start_mark.line
    for name, number in _PART.findall(path):
        found = _inside(node, name, number)
        if found is None:
            break
        line, node = found
    return line + 1


def _inside(node: yaml.Node, name: str, number: str) -> tuple[int, yaml.Node] | None:
    if number and isinstance(node, yaml.SequenceNode) and int(number) < len(node.value):
        item = node.value[int(number)]
        return item.start_mark.line, item
    if name and isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == name:
                return key.start_mark.line, value
    return None


def broken_line(error: Exception) -> int | None:
    """The line that is no YAML, where the parser says it."""
    mark = getattr(error.__cause__, "problem_mark", None)
    return mark.line + 1 if mark is not None else None
