"""A series of single-frame images that lie in one stack: what contours are drawn on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from isocenter.core.contours.structure_set import StructureSet
from isocenter.core.dicom.bounds import DEFAULT_BOUNDS, Bounds
from isocenter.core.dicom.geometry import SliceStack
from isocenter.core.dicom.plane_values import plane_values
from isocenter.core.dicom.reading import read_dataset
from isocenter.core.errors import GeometryError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


@dataclass(frozen=True)
class SeriesFiles:
    """An image series as a list of files, before its headers are read in full.

    Attributes:
        paths, sop_uids: in the order found.
        is_multi_frame: whether an image has more than one frame.
    """

    series_uid: str
    study_uid: str
    modality: str
    frame_of_reference_uid: str
    paths: tuple[Path, ...]
    sop_uids: tuple[str, ...]
    is_multi_frame: bool = False


class LateHeaders(Sequence["Dataset"]):
    """The data sets of images without pixel data, read together when one is asked for.

    Raises (from every access):
        DicomError: a file cannot be read.
        OSError: a file cannot be opened.
    """

    def __init__(self, paths: Sequence[Path], bounds: Bounds) -> None:
        self._paths = paths
        self._bounds = bounds

    @cached_property
    def _read(self) -> tuple[Dataset, ...]:
        return tuple(
            read_dataset(path, bounds=self._bounds, stop_before_pixels=True) for path in self._paths
        )

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, index: int) -> Dataset: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Dataset, ...]: ...
    def __getitem__(self, index: int | slice) -> Dataset | tuple[Dataset, ...]:
        return self._read[index]

    def __iter__(self) -> Iterator[Dataset]:
        return iter(self._read)


@dataclass(frozen=True, eq=False)
class ImageSeries:
    """One image series. Pixels are not kept; outputs that need them read them from `paths`.

    Attributes:
        paths: files in stack order (ascending along the normal).
        headers: their data sets without pixel data, in stack order, read when they are asked
            for. Treat as read-only.
        stack: where the slices lie.
    """

    series_uid: str
    study_uid: str
    modality: str
    frame_of_reference_uid: str
    paths: tuple[Path, ...]
    headers: Sequence[Dataset] = field(repr=False)
    stack: SliceStack = field(repr=False)

    def __len__(self) -> int:
        return len(self.paths)

    @cached_property
    def sop_uids(self) -> tuple[str, ...]:
        """SOP Instance UIDs in stack order."""
        return tuple(str(header.SOPInstanceUID) for header in self.headers)


@dataclass(frozen=True, eq=False)
class Pair:
    """A structure set and one image series that it is drawn on.

    Attributes:
        matched_by: "series" (ReferencedFrameOfReferenceSequence names it), "instances"
            (ContourImageSequence does), or "geometry" (same frame of reference, and the contour
            planes lie on its slices).
        warnings: what a person should know of the match.
        foreign_rois: numbers of the ROIs that lie in another frame of reference; not drawn.
    """

    series: ImageSeries
    structure_set: StructureSet
    matched_by: str
    warnings: tuple[str, ...] = ()
    foreign_rois: frozenset[int] = frozenset()


def load_series(
    files: SeriesFiles,
    *,
    bounds: Bounds = DEFAULT_BOUNDS,
    with_headers: bool = True,
    on_image: Callable[[int, int], None] = lambda done, total: None,
) -> ImageSeries:
    """Checks the images of a series (no pixels) and sorts them into a stack.

    Without `with_headers`, all headers are checked but data sets are made of them only when
    somebody asks for one. `on_image` is told (done, total) after each image.

    Raises:
        DicomError: a file cannot be read.
        GeometryError: the images make no stack (see `SliceStack.of_datasets`).
    """
    if files.is_multi_frame:
        raise GeometryError(
            f"series {files.series_uid} has multi-frame images",
            hint="contours are drawn on series of single-frame images",
        )
    found: list[Any] = []
    for path in files.paths:
        if with_headers:
            found.append(read_dataset(path, bounds=bounds, stop_before_pixels=True))
        else:
            found.append(plane_values(path, bounds=bounds))
        on_image(len(found), len(files.paths))
    stack = SliceStack.of_datasets(found)
    paths = tuple(files.paths[i] for i in stack.source_index)
    return ImageSeries(
        series_uid=files.series_uid,
        study_uid=files.study_uid,
        modality=files.modality,
        frame_of_reference_uid=files.frame_of_reference_uid,
        paths=paths,
        headers=tuple(found[i] for i in stack.source_index)
        if with_headers
        else LateHeaders(paths, bounds),
        stack=stack,
    )
