"""Frames of a BINARY segmentation: functional groups and packed bits, one frame at a time."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from isocenter.core.contours.image_series import ImageSeries
from isocenter.core.contours.masks import RoiMask

#: As many frames as always fill whole bytes, whatever the matrix.
_GROUP = 8


@dataclass(frozen=True, eq=False)
class Frame:
    """One segment on one slice.

    Attributes:
        segment: segment number, from 1.
        index: slice of the stack.
        mask: the ROI's mask.
    """

    segment: int
    index: int
    mask: RoiMask


def packed_frames(frames: Sequence[Frame], rows: int, columns: int) -> Iterator[tuple[bytes, int]]:
    """PixelData of frames with one bit per pixel (PS3.5 8.1.1), and how many frames it holds.

    Frames follow one another without a gap: the first pixel of a frame is the bit after the last
    pixel of the frame before. The first pixel is the least significant bit.
    """
    planes = np.zeros((_GROUP, rows, columns), dtype=np.bool_)
    for start in range(0, len(frames), _GROUP):
        group = frames[start : start + _GROUP]
        planes[:] = False
        for plane, frame in zip(planes, group, strict=False):
            frame.mask.paint(plane, frame.index)
        yield np.packbits(planes[: len(group)], axis=None, bitorder="little").tobytes(), len(group)


def frame_item(frame: Frame, rank: int, series: ImageSeries) -> Dataset:
    """The frame's item of PerFrameFunctionalGroupsSequence (PS3.3 C.7.6.16)."""
    header = series.headers[frame.index]
    item = Dataset()
    item.DerivationImageSequence = [_derivation(header)]
    content = Dataset()
    content.DimensionIndexValues = [frame.segment, rank]
    item.FrameContentSequence = [content]
    position = Dataset()
    # The source's own digits, so that viewers find the slice by comparing.
    position.ImagePositionPatient = copy.copy(header["ImagePositionPatient"].value)
    item.PlanePositionSequence = [position]
    segment = Dataset()
    segment.ReferencedSegmentNumber = frame.segment
    item.SegmentIdentificationSequence = [segment]
    return item


def _derivation(header: Dataset) -> Dataset:
    source = Dataset()
    source.ReferencedSOPClassUID = header.SOPClassUID
    source.ReferencedSOPInstanceUID = header.SOPInstanceUID
    source.SpatialLocationsPreserved = "YES"
    source.PurposeOfReferenceCodeSequence = [
        _code("121322", "Source image for image processing operation")
    ]
    item = Dataset()
    item.SourceImageSequence = [source]
    item.DerivationCodeSequence = [_code("113076", "Segmentation")]
    return item


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue = value
    code.CodingSchemeDesignator = "DCM"
    code.CodeMeaning = meaning
    return code
