"""What every output of drawn contours has in common: scene in, files out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from isocenter.core.contours.image_series import ImageSeries, Pair
from isocenter.core.contours.masks import RoiMask
from isocenter.core.contours.options import ContourOptions
from isocenter.core.dicom.geometry import SliceStack
from isocenter.core.dicom.uids import derive_uid

Progress = Callable[[float, str], None]


def silent(fraction: float, message: str) -> None:
    """Progress that nobody wants to see."""


@dataclass(frozen=True, eq=False)
class Scene:
    """One structure set drawn on one image series, and all that decides how outputs look.

    Attributes:
        pair: image series and structure set.
        masks: one per chosen ROI, in the order of the structure set; some may be empty.
        options: what was asked for.
        made_at: date and time for everything that is written; aware.
        determinant: hex digest of input UIDs and digests, parameters and version. The bytes
            of every output are a function of the inputs, this and `made_at` alone.
        stem: name for files and folders of this pair, unique within one conversion.
        skipped: ROIs that are not in `masks`, as (name, reason).
        on_progress: takes fraction 0..1 and a message.
    """

    pair: Pair
    masks: tuple[RoiMask, ...]
    options: ContourOptions
    made_at: datetime
    determinant: str
    stem: str
    skipped: tuple[tuple[str, str], ...] = ()
    on_progress: Progress = field(default=silent, repr=False)

    @property
    def series(self) -> ImageSeries:
        return self.pair.series

    @property
    def stack(self) -> SliceStack:
        return self.pair.series.stack

    def uid(self, *parts: str) -> str:
        """A UID that is a function of the determinant and `parts`."""
        return derive_uid(self.determinant, *parts)


@dataclass(frozen=True)
class Output:
    """One file that was written.

    Attributes:
        kind: overlay, seg, preview-sc, preview, nifti, nrrd, stl, json, …
        role: for people, for example "GTV_Mass_CT mask".
        path: where it is.
        sop_uid, series_uid, sop_class_uid: of a DICOM instance; empty for other files.
    """

    kind: str
    role: str
    path: Path
    sop_uid: str = ""
    series_uid: str = ""
    sop_class_uid: str = ""


class Writer(Protocol):
    """Writes one format. The same scene gives the same bytes."""

    @property
    def format(self) -> str:
        """Its name in ``ContourOptions.formats``."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever the same scene gives other bytes than before."""
        ...

    def __call__(self, scene: Scene, out_dir: Path) -> list[Output]:
        """Writes into `out_dir` (which exists) and says what it wrote."""
        ...
