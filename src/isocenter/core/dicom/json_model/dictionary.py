"""Which value representation an element has, where the data set does not say (PS3.5 6.2.2, A.1)."""

from __future__ import annotations

from functools import cache, lru_cache

#: Attributes whose dictionary entry leaves a choice that Pixel Representation decides.
_SIGNED_OR_NOT = "US or SS"


@cache
def _public() -> dict[int, str]:
    from pydicom.datadict import DicomDictionary

    return {tag: entry[0] for tag, entry in DicomDictionary.items()}


@lru_cache(maxsize=4096)
def public_vr(tag: int, *, signed: bool) -> str:
    """The VR of a public attribute, ``UN`` where PS3.6 has none.

    Args:
        signed: Pixel Representation of the data set is 1; decides between US and SS. Data that
            may be in bytes or words is in words (PS3.5 A.1).
    """
    if tag & 0xFFFF == 0:
        return "UL"
    vr = _public().get(tag) or _repeating(tag)
    if vr == _SIGNED_OR_NOT:
        return "SS" if signed else "US"
    if "OW" in vr:
        return "OW"
    return vr if len(vr) == 2 else "UN"


def _repeating(tag: int) -> str:
    """Curves and overlays (PS3.5 7.6)."""
    from pydicom.datadict import dictionary_VR, mask_match

    return str(dictionary_VR(tag)) if mask_match(tag) else ""


@lru_cache(maxsize=4096)
def private_vr(tag: int, creator: str) -> str:
    """The VR that pydicom's dictionary of private attributes knows; ``UN`` otherwise."""
    from pydicom.datadict import private_dictionary_VR
    from pydicom.tag import BaseTag

    if 0x10 <= tag & 0xFFFF <= 0xFF:
        return "LO"
    if not creator:
        return "UN"
    try:
        vr = str(private_dictionary_VR(BaseTag(tag), creator))
    except KeyError:
        return "UN"
    return vr if len(vr) == 2 else "UN"


@lru_cache(maxsize=8192)
def keyword_of(tag: int) -> str:
    """The keyword of a public attribute (PS3.6), empty where there is none."""
    from pydicom.datadict import keyword_for_tag

    return "" if tag >> 16 & 1 else str(keyword_for_tag(tag))
