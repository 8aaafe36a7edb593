"""Which structure set is drawn on which image series.

In this order: the series that ReferencedFrameOfReferenceSequence names; the series whose images
the contours name (ContourImageSequence); the series in the same frame of reference whose slices
the contour planes lie on. Real planning systems write image references that do not exist in the
series, so a dangling reference is a warning and geometry decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from isocenter.core.contours.image_series import ImageSeries, Pair, SeriesFiles
from isocenter.core.contours.slices import PARALLEL_TOLERANCE_MM
from isocenter.core.contours.structure_set import Contour, StructureSet
from isocenter.core.errors import DicomError

__all__ = ["ImageSeries", "Pair", "Pairing", "SeriesFiles", "pair"]

#: By geometry alone, this part of the contours must lie on slices.
FITTING_PART = 0.9
#: Contour planes on slices differ by no more than this from them.
ON_SLICE_MM = 0.1

Loader = Callable[[SeriesFiles], ImageSeries]


@dataclass(frozen=True, eq=False)
class Pairing:
    """What goes together, and what does not.

    Attributes:
        pairs: in the order of the structure sets, then of the series.
        problems: why a structure set has no pair, or a series cannot be used; for people.
    """

    pairs: tuple[Pair, ...]
    problems: tuple[str, ...]


def pair(
    structure_sets: Iterable[StructureSet],
    image_series: Sequence[SeriesFiles],
    load: Loader,
    *,
    allow_other_frame_of_reference: bool = False,
) -> Pairing:
    """Finds the series of each structure set. `load` reads the headers of a series, when needed.

    A frame of reference that differs is refused unless `allow_other_frame_of_reference`.
    """
    pairs: list[Pair] = []
    problems: list[str] = []
    for structure_set in structure_sets:
        matcher = _Matcher(structure_set, image_series, load, allow_other_frame_of_reference)
        found = matcher.pairs()
        pairs += found
        problems += matcher.problems
        if not found and not matcher.problems:
            problems.append(f"{_name(structure_set)}: no image series here that it refers to")
    return Pairing(tuple(pairs), tuple(problems))


class _Matcher:
    def __init__(
        self,
        structure_set: StructureSet,
        candidates: Sequence[SeriesFiles],
        load: Loader,
        allow_other: bool,
    ) -> None:
        self.structure_set = structure_set
        self.candidates = candidates
        self.load = load
        self.allow_other = allow_other
        self.problems: list[str] = []

    def pairs(self) -> list[Pair]:
        named = [s for s in self.candidates if s.series_uid in self.structure_set.referenced_series]
        if named:
            return self._drawn_on(named, "series")
        images = self.structure_set.contour_image_uids
        shown = [s for s in self.candidates if not images.isdisjoint(s.sop_uids)]
        if shown:
            return self._drawn_on(shown, "instances")
        return self._by_geometry()

    def _drawn_on(self, found: Sequence[SeriesFiles], matched_by: str) -> list[Pair]:
        pairs = []
        for files in found:
            foreign, refusal = self._foreign(files)
            if refusal:
                self.problems.append(refusal)
                continue
            series = self._loaded(files)
            if series is not None:
                warnings = self._warnings(files)
                pairs.append(Pair(series, self.structure_set, matched_by, warnings, foreign))
        return pairs

    def _foreign(self, files: SeriesFiles) -> tuple[frozenset[int], str]:
        """ROIs in another frame of reference; and why nothing can be drawn, when all are."""
        own = files.frame_of_reference_uid
        other = [
            roi.number
            for roi in self.structure_set.rois
            if own and (frame := self._frame_of(roi.frame_of_reference_uid)) and frame != own
        ]
        if self.allow_other or not other:
            return frozenset(), ""
        if len(other) < len(self.structure_set.rois):
            return frozenset(other), ""
        return frozenset(other), (
            f"{_name(self.structure_set)} lies in another frame of reference than series "
            f"{files.series_uid}, so it is not drawn there; it can be allowed "
            "(allow_other_frame_of_reference) if the two are known to coincide"
        )

    def _frame_of(self, roi_frame: str) -> str:
        frames = self.structure_set.frame_of_reference_uids
        return roi_frame or (frames[0] if len(frames) == 1 else "")

    def _loaded(self, files: SeriesFiles) -> ImageSeries | None:
        try:
            return self.load(files)
        except DicomError as error:
            self.problems.append(f"series {files.series_uid} cannot be drawn on: {error}")
            return None

    def _warnings(self, files: SeriesFiles) -> tuple[str, ...]:
        warnings = []
        images = self.structure_set.contour_image_uids
        dangling = len(images.difference(chain.from_iterable(s.sop_uids for s in self.candidates)))
        if dangling:
            warnings.append(
                f"{dangling} of {len(images)} images that contours name are not here; "
                "contours go to slices by geometry"
            )
        if files.study_uid != self.structure_set.study_uid:
            warnings.append("structure set and images are of different studies")
        if self.allow_other and self._foreign_frames(files):
            warnings.append("the frame of reference differs; drawn because it was allowed")
        if not files.frame_of_reference_uid:
            warnings.append("the images have no Frame of Reference UID to compare")
        return tuple(warnings)

    def _foreign_frames(self, files: SeriesFiles) -> bool:
        frames = {self._frame_of(roi.frame_of_reference_uid) for roi in self.structure_set.rois}
        return bool(frames - {"", files.frame_of_reference_uid})

    def _by_geometry(self) -> list[Pair]:
        frames = {roi.frame_of_reference_uid for roi in self.structure_set.rois}
        frames |= set(self.structure_set.frame_of_reference_uids)
        same_frame = [s for s in self.candidates if s.frame_of_reference_uid in frames - {""}]
        if not same_frame and not (self.allow_other or frames <= {""}):
            self._explain_frames()
            return []
        fits: list[tuple[float, SeriesFiles]] = []
        for files in same_frame or self._of_same_study():
            series = self._loaded(files)
            part = _fitting_part(self.structure_set, series) if series else 0.0
            if part >= FITTING_PART:
                fits.append((part, files))
        best = max((part for part, _ in fits), default=0.0)
        found = self._drawn_on([f for part, f in fits if part >= best - 0.01], "geometry")
        if not found and not self.problems:
            self.problems.append(
                f"{_name(self.structure_set)}: no image series whose slices its contours lie on"
            )
        return found

    def _of_same_study(self) -> list[SeriesFiles]:
        return [s for s in self.candidates if s.study_uid == self.structure_set.study_uid]

    def _explain_frames(self) -> None:
        if self.candidates:
            self.problems.append(
                f"{_name(self.structure_set)}: it names no series or image that is here, and none "
                f"of the {len(self.candidates)} image series has its frame of reference"
            )


def _fitting_part(structure_set: StructureSet, series: ImageSeries) -> float:
    """Part of the closed contours that lie on a slice of the series."""
    closed = [c for roi in structure_set.rois for c in roi.contours if c.is_closed]
    if not closed:
        return 0.0
    return sum(_lies_on_slice(contour, series) for contour in closed) / len(closed)


def _lies_on_slice(contour: Contour, series: ImageSeries) -> bool:
    if len(contour.points) == 0:
        return False
    along = series.stack.distance_of(contour.points)
    if float(np.ptp(along)) > PARALLEL_TOLERANCE_MM:
        return False
    return series.stack.nearest_slice(float(along.mean()), ON_SLICE_MM) is not None


def _name(structure_set: StructureSet) -> str:
    return f"structure set {structure_set.sop_uid}"
