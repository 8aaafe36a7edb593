"""Which attributes that the index does not have an answer can get from the metadata of its first
instance: those that are the same for all of a study or a series (PS3.3 C.7.1 to C.7.5)."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isocenter.apps.archive.queries import Level

_OF_STUDY = frozenset(
    {
        *(0x00080020, 0x00080030, 0x00080050, 0x00080051, 0x00080090, 0x00080096, 0x00080201),
        *(0x00081030, 0x00081032, 0x00081048, 0x00081049, 0x00081060, 0x00081062, 0x00081080),
        *(0x00081084, 0x00081110, 0x00100021, 0x00100022, 0x00100024, 0x00100026, 0x00100027),
        *(0x00100028, 0x00100030, 0x00100032, 0x00100040, 0x00100050, 0x00100101, 0x00101000),
        *(0x00101001, 0x00101002, 0x00101005, 0x00101010, 0x00101020, 0x00101030, 0x00101040),
        *(0x00101060, 0x00101080, 0x00101081, 0x00101090, 0x00102000, 0x00102110, 0x00102150),
        *(0x00102152, 0x00102154, 0x00102160, 0x00102180, 0x001021A0, 0x001021B0, 0x001021C0),
        *(0x001021D0, 0x001021F0, 0x00102201, 0x00102203, 0x00102292, 0x00102297, 0x00104000),
        *(0x00120010, 0x00120020, 0x00120021, 0x00120030, 0x00120031, 0x00120040, 0x00120042),
        *(0x00120050, 0x00120051, 0x00120062, 0x00120063, 0x00120064, 0x00200010, 0x00321033),
        *(0x00380010, 0x00380060, 0x00380062, 0x00400012),
    }
)
_OF_SERIES = frozenset(
    {
        *(0x00080021, 0x00080031, 0x00080060, 0x00080068, 0x00080070, 0x00080080, 0x00080081),
        *(0x00080082, 0x0008103E, 0x0008103F, 0x00081010, 0x00081040, 0x00081050, 0x00081052),
        *(0x00081070, 0x00081072, 0x00081090, 0x00081111, 0x00120060, 0x00120071, 0x00120072),
        *(0x00180015, 0x00181000, 0x00181002, 0x00181008, 0x00181020, 0x00181030, 0x00185100),
        *(0x00189073, 0x00200011, 0x00200052, 0x00200060, 0x00201040, 0x00400244, 0x00400245),
        *(0x00400250, 0x00400251, 0x00400253, 0x00400254, 0x00400260, 0x00400275, 0x00400280),
        *(0x00400555, 0x0040A504),
    }
)


def belong(tags: Collection[int], level: Level) -> frozenset[int]:
    """Those of these attributes that an answer of this level has."""
    if level == "STUDY":
        return frozenset(tags) & _OF_STUDY
    if level == "SERIES":
        return frozenset(tags) & (_OF_STUDY | _OF_SERIES)
    return frozenset(tags)


def all_of(level: Level) -> frozenset[int] | None:
    """All that an answer of this level can have; None: whatever its instance has."""
    if level == "STUDY":
        return _OF_STUDY
    return _OF_STUDY | _OF_SERIES if level == "SERIES" else None


def laid_under(answer: dict[str, Any], further: dict[str, Any]) -> dict[str, Any]:
    """An answer with more attributes; what the index says goes before."""
    return dict(sorted({**further, **answer}.items())) if further else answer
