"""Contour plane → slice: each plane goes to one slice or is reported, never guessed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from isocenter.core.contours.structure_set import Contour
from isocenter.core.dicom.geometry import SliceStack

#: A contour whose points differ more than this along the normal is not parallel to the slices.
PARALLEL_TOLERANCE_MM = 0.1
#: Contours this close along the normal lie in one contour plane.
PLANE_TOLERANCE_MM = 0.05


@dataclass(frozen=True, eq=False)
class Plane:
    """Contours that lie in one plane.

    Attributes:
        distance_mm: from the patient origin along the stack's normal.
        contours: closed ones, in the order of the file.
    """

    distance_mm: float
    contours: tuple[Contour, ...]


@dataclass(frozen=True, eq=False)
class Assignment:
    """Which plane each slice shows.

    Attributes:
        planes: slice index → its plane, ascending.
        skipped: number of contours that no slice shows.
        warnings: what was left out, and why.
    """

    planes: dict[int, Plane]
    skipped: int
    warnings: tuple[str, ...]


def assign(contours: Iterable[Contour], stack: SliceStack) -> Assignment:
    """Gives each contour plane to the slice it belongs to (see `SliceStack.nearest_slice`).

    Where two planes fall on one slice, the nearer wins (the lower in a tie) and the other is
    reported, as is a plane that no slice takes and a contour that encloses no area in a plane
    parallel to the slices.
    """
    levels: list[tuple[float, Contour]] = []
    reasons: Counter[str] = Counter()
    for contour in contours:
        reason, level = _level_of(contour, stack)
        if reason:
            reasons[reason] += 1
        else:
            levels.append((level, contour))
    warnings = [f"{count} {reason}" for reason, count in sorted(reasons.items())]
    planes, lost = _give(_planes(levels), stack)
    warnings += lost
    drawn = sum(len(plane.contours) for plane in planes.values())
    return Assignment(planes, sum(reasons.values()) + len(levels) - drawn, tuple(warnings))


def _level_of(contour: Contour, stack: SliceStack) -> tuple[str, float]:
    if not contour.is_closed:
        kind = contour.geometric_type or "untyped"
        return f"{kind} contour(s) skipped: they enclose no area", 0.0
    if len(contour.points) < 3:
        return "contour(s) of fewer than three points skipped", 0.0
    with np.errstate(over="ignore", invalid="ignore"):  # coordinates near the end of float64
        along = stack.distance_of(contour.points)
    low, high = float(along.min()), float(along.max())
    if not high - low <= PARALLEL_TOLERANCE_MM:
        return "contour(s) skipped: not parallel to the slices", 0.0
    return "", (low + high) / 2


def _planes(levels: Sequence[tuple[float, Contour]]) -> list[Plane]:
    """Contours grouped by plane, ascending; contours of one plane keep their order."""
    groups: list[list[int]] = []
    start = -np.inf
    for index in sorted(range(len(levels)), key=lambda i: levels[i][0]):
        if levels[index][0] - start > PLANE_TOLERANCE_MM:
            groups.append([])
            start = levels[index][0]
        groups[-1].append(index)
    return [
        Plane(
            distance_mm=float(np.mean([levels[i][0] for i in group])),
            contours=tuple(levels[i][1] for i in sorted(group)),
        )
        for group in groups
    ]


def _give(planes: Sequence[Plane], stack: SliceStack) -> tuple[dict[int, Plane], list[str]]:
    taken: dict[int, Plane] = {}
    far: list[Plane] = []
    beaten: list[Plane] = []
    for plane in planes:
        index = stack.nearest_slice(plane.distance_mm)
        if index is None:
            far.append(plane)
        elif index not in taken:
            taken[index] = plane
        else:
            level = float(stack.distances_mm[index])
            winner, loser = _nearer(taken[index], plane, level)
            taken[index] = winner
            beaten.append(loser)
    warnings = []
    if far:
        warnings.append(f"{_said(far)} skipped: no slice within half the slice distance")
    if beaten:
        warnings.append(f"{_said(beaten)} skipped: another plane is nearer to the same slice")
    return dict(sorted(taken.items())), warnings


def _nearer(lower: Plane, upper: Plane, level: float) -> tuple[Plane, Plane]:
    tie_mm = 1e-6
    if abs(upper.distance_mm - level) < abs(lower.distance_mm - level) - tie_mm:
        return upper, lower
    return lower, upper


def _said(planes: Sequence[Plane]) -> str:
    shown = ", ".join(f"{plane.distance_mm:.2f}" for plane in planes[:5])
    more = f" and {len(planes) - 5} more" if len(planes) > 5 else ""
    count = sum(len(plane.contours) for plane in planes)
    return f"{count} contour(s) in plane(s) at {shown}{more} mm along the normal"
