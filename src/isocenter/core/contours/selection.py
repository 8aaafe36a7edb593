"""Which ROIs are drawn."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from isocenter.core.contours.options import RoiChoice
from isocenter.core.contours.structure_set import Roi


@dataclass(frozen=True, eq=False)
class Skipped:
    """An ROI that is not drawn, and why."""

    roi: Roi
    reason: str

    def summary(self) -> dict[str, object]:
        """Its entry in ``summary.json``."""
        return {
            "number": self.roi.number,
            "name": self.roi.name,
            "type": self.roi.interpreted_type,
            "reason": self.reason,
        }


@dataclass(frozen=True, eq=False)
class Selection:
    """The ROIs that are drawn, and those that are not."""

    chosen: tuple[Roi, ...]
    skipped: tuple[Skipped, ...]


def select(rois: Iterable[Roi], choice: RoiChoice) -> Selection:
    """Splits `rois` by `choice`. An ROI without a closed contour is never chosen."""
    chosen: list[Roi] = []
    skipped: list[Skipped] = []
    for roi in rois:
        reason = _reason_against(roi, choice)
        if reason:
            skipped.append(Skipped(roi, reason))
        else:
            chosen.append(roi)
    return Selection(tuple(chosen), tuple(skipped))


def _reason_against(roi: Roi, choice: RoiChoice) -> str:
    name = roi.name.casefold()
    for part in choice.ignore:
        if part and part.casefold() in name:
            return f"its name contains {part!r}"
    for pattern in choice.exclude:
        if re.search(pattern, roi.name, re.IGNORECASE):
            return f"its name matches {pattern!r}, which is excluded"
    if choice.include and not any(
        re.search(pattern, roi.name, re.IGNORECASE) for pattern in choice.include
    ):
        return "its name matches no pattern that is included"
    if choice.types and roi.interpreted_type.casefold() not in {
        wanted.casefold() for wanted in choice.types
    }:
        return f"its interpreted type is {roi.interpreted_type or 'not given'}"
    if not any(contour.is_closed for contour in roi.contours):
        return _no_area(roi)
    return ""


def _no_area(roi: Roi) -> str:
    if not roi.contours:
        return "; ".join(roi.problems) or "it has no contours"
    kinds = Counter(contour.geometric_type or "no type" for contour in roi.contours)
    said = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return f"it has no closed contour, only {said}"
