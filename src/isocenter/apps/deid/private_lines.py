"""Private attributes that a project keeps, as lines that people write.

``0019,xx0c SIEMENS MR HEADER`` is one attribute of a block, ``0019 SIEMENS MR HEADER`` the whole
block (PS3.5 7.8.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_LINE = re.compile(r"\(?([0-9A-Fa-f]{4})(?:,? ?[xX]{2}([0-9A-Fa-f]{2}|[xX]{2}))?\)?,?\s+(.+)")
_MOST_CREATOR = 64  # VR LO (PS3.5 6.2)


def read_private(text: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The attributes that lines name, and what is wrong with those that name none."""
    found: list[dict[str, Any]] = []
    problems = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        matched = _LINE.fullmatch(line.strip())
        problem = _problem(matched)
        if problem or matched is None:
            problems.append(f"Line {number}: {problem}")
            continue
        element = matched[2]
        found.append(
            {
                "creator": matched[3].strip().strip('"').strip(),
                "group": int(matched[1], 16),
                "element": None if element is None or element.lower() == "xx" else int(element, 16),
            }
        )
    return found, problems


def _problem(matched: re.Match[str] | None) -> str:
    if matched is None:
        return "write group, element and maker, such as 0019,xx0c SIEMENS MR HEADER"
    if not int(matched[1], 16) & 1:
        return f"{matched[1]} is no private group: those are odd"
    creator = matched[3].strip().strip('"').strip()
    return (
        f"a maker's name has 1 to {_MOST_CREATOR} characters"
        if (not 0 < len(creator) <= _MOST_CREATOR or "\\" in creator)
        else ""
    )


def write_private(kept: Iterable[Any]) -> str:
    """Attributes as lines; each has ``creator``, ``group`` and ``element``."""
    lines = []
    for one in kept:
        place = f"{one.group:04x}"
        if one.element is not None:
            place += f",xx{one.element:02x}"
        lines.append(f"{place} {one.creator}")
    return "\n".join(lines)
