"""What ties a study in this house to what left of it under a pseudonym, and who may know it.

Who sees the study here knows the patient; with a new UID, a digest or a file of what left, they
would know who a pseudonym is without the look-up that is a right of its own, and an event.
"""

from __future__ import annotations

import re
from typing import Any

#: A UID in a text; version numbers look alike, and nobody misses them here.
_UID = re.compile(r"(?<![\d.])[0-2](?:\.\d+){2,}(?![\d.]*\w)")
HIDDEN = "(new UID)"


def without_uids(value: Any) -> Any:
    """The same JSON value, with all UIDs in its texts hidden."""
    if isinstance(value, str):
        return _UID.sub(HIDDEN, value)
    if isinstance(value, dict):
        return {key: without_uids(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_uids(item) for item in value]
    return value
