"""The data dictionary (PS3.6) as the engine needs it: keyword and VR of a tag."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from pydicom.datadict import DicomDictionary, get_entry, mask_match
from pydicom.tag import BaseTag


class Attribute(NamedTuple):
    """One attribute of PS3.6; ``vrs`` has the first one where there is a choice in front."""

    keyword: str
    vrs: tuple[str, ...]


NO_ATTRIBUTE = Attribute("", ("UN",))

_REPEATING = (0x50, 0x60)  # curves and overlays (PS3.5 7.6)
# Where the dictionary has none, or a choice: OW is what any byte order of words can hold.
_NAMES = {"NONE": "OB"}


@cache
def attribute(tag: int) -> Attribute:
    """The attribute of a tag, repeating groups too; :data:`NO_ATTRIBUTE` if there is none."""
    if tag not in DicomDictionary and (tag >> 24 not in _REPEATING or not mask_match(tag)):
        return NO_ATTRIBUTE
    vr, _, _, _, keyword = get_entry(BaseTag(tag))
    return Attribute(keyword, tuple(_NAMES.get(one, one) for one in vr.split(" or ")))


@cache
def value_representation(tag: int) -> str:
    """The VR that PS3.6 gives an attribute, the first one of a choice; ``UN`` where it has none."""
    return attribute(tag).vrs[0]


@cache
def _by_keyword() -> dict[str, int]:
    return {entry[4]: tag for tag, entry in DicomDictionary.items() if entry[4]}


def tag_of_keyword(keyword: str) -> int:
    """The tag of a keyword.

    Raises:
        KeyError: PS3.6 has no such keyword.
    """
    return _by_keyword()[keyword]
