"""Which attributes may say whose data it is: those that the Basic Profile does not keep."""

from __future__ import annotations

from functools import lru_cache

from isocenter.core.deid.standard.table import Table
from isocenter.core.dicom.json_model.dictionary import public_vr

#: What PS3.15 Table E.1-1 may say of an attribute that somebody may see who must not know whose
#: data it is: it is kept, or it is a UID.
_SHOWN = frozenset(("K", "U"))


@lru_cache(maxsize=8192)
def identifies(tag: int) -> bool:
    """Whether an attribute is left out for whoever may not see identified data.

    That is what PS3.15 Table E.1-1 changes in any other way than by a new UID, private attributes,
    and attributes that PS3.6 does not know.
    """
    if tag >> 16 & 1:
        return True
    entry = Table.load().entry(tag)
    if entry is not None:
        return entry.basic not in _SHOWN
    return public_vr(tag, signed=False) == "UN"
