"""One frame of an image as a data set of its own, without reading the others."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataelem import DataElement
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate

from isocenter.core.dicom.bounds import Bounds
from isocenter.core.dicom.frames import Frames, find_frames, frame_bytes
from isocenter.core.dicom.reading import read_dataset

_SMALL_BYTES = 8 << 20  # is read whole: that costs little
_PIXELS = 0x7FE00010
_OF_ALL_FRAMES = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")


def read_middle(path: Path, bounds: Bounds) -> tuple[FileDataset, int, int]:
    """A data set with the middle frame of an image.

    Returns:
        (data set, where the frame is in its pixel data, which one it is of the image)

    Raises:
        DicomError: it has no pixels, or cannot be read.
        OSError: the file cannot be opened.
    """
    if path.stat().st_size > _SMALL_BYTES:
        frames = find_frames(path, bounds)
        if frames.header.frames > 1 and _can_be_cut(frames):
            return _cut_out(frames, bounds)
    dataset = read_dataset(path, bounds=bounds)
    try:
        count = int(dataset.get("NumberOfFrames") or 1)
    except (TypeError, ValueError):
        count = 1  # whoever looks at the pixels says what is wrong
    return dataset, max(count, 1) // 2, max(count, 1) // 2


def _can_be_cut(frames: Frames) -> bool:
    header = frames.header
    return (
        frames.in_file
        and frames.is_little_endian
        and header.pixel_tag == _PIXELS
        and header.bits_allocated % 8 == 0
    )


def _cut_out(frames: Frames, bounds: Bounds) -> tuple[FileDataset, int, int]:
    index = frames.header.frames // 2
    data = frame_bytes(frames.header.path, frames.places([index])[0])
    dataset = read_dataset(frames.header.path, bounds=bounds, stop_before_pixels=True)
    for keyword in _OF_ALL_FRAMES:
        if keyword in dataset:
            del dataset[keyword]
    dataset.NumberOfFrames = 1
    if frames.is_native:
        vr = "OW" if frames.header.bits_allocated > 8 else "OB"
        dataset[_PIXELS] = DataElement(_PIXELS, vr, data + b"\0" * (len(data) % 2))
    else:
        dataset[_PIXELS] = DataElement(_PIXELS, "OB", encapsulate([data]))
    return dataset, 0, index
