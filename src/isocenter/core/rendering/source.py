"""An image that is open for rendering: its frames, and what says how they are to be shown."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from isocenter.core.dicom.bounds import Bounds
from isocenter.core.dicom.frames import Frames, find_frames, frame_bytes
from isocenter.core.dicom.image_header import (
    DOUBLE_PIXELS,
    FLOAT_PIXELS,
    FRAME_GROUPS,
    MODALITY_LUTS,
    PALETTE,
    SHARED_GROUPS,
    VOI_LUTS,
    ImageHeader,
)
from isocenter.core.dicom.pixels import DECODABLE, decode_frames
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.dicom.reading import read_dataset
from isocenter.core.errors import PixelError

#: A larger file or frame is not drawn.
BOUNDS = Bounds(max_instance_bytes=4 << 30)
MAX_FRAME_PIXELS = 1 << 27
_KEPT_IMAGES = 8
_PLAIN_PIXELS = 1 << 22  # of a frame that may be drawn beside other work
_KEPT_BYTES = 64 << 20  # of a data set that had to be read whole
_COMPLEX = frozenset((MODALITY_LUTS, VOI_LUTS, PALETTE, SHARED_GROUPS, FRAME_GROUPS))
_PLAIN_TYPES = {8: "u1", 16: "<u2", 32: "<u4"}


@dataclass
class Image:
    """A file that is open for rendering.

    Attributes:
        frames: where they lie.
        attributes: all but the pixels; None where the header says everything.
    """

    frames: Frames
    attributes: Dataset | None = None
    whole: Dataset | None = field(default=None, repr=False)

    @property
    def header(self) -> ImageHeader:
        return self.frames.header

    def stored_values(self, index: int) -> NDArray[np.generic]:
        """One frame as it is stored: (rows, columns) or (rows, columns, samples).

        Codecs undo their own colour transforms; everything else is as it was.

        Raises:
            PixelError, BoundsError: it cannot be decoded, or is too large.
        """
        header = self.header
        if header.rows * header.columns > MAX_FRAME_PIXELS:
            raise PixelError(f"{header.rows} x {header.columns} pixels are too many for a picture")
        if not 0 <= index < header.frames:
            raise PixelError(f"the image has frames 1 to {header.frames}")
        if header.syntax not in DECODABLE:
            raise PixelError(f"no decoder for transfer syntax {header.syntax}")
        if not (self.frames.in_file and self.frames.is_little_endian):
            return self._of_whole(index)
        data = frame_bytes(header.path, self.frames.places([index])[0])
        if self.frames.is_native and (plain := _plain(header, data)) is not None:
            return plain
        values: NDArray[np.generic] = decode_frames(_one_frame(header, data), bounds=BOUNDS)[0]
        return values

    def _of_whole(self, index: int) -> NDArray[np.generic]:
        """From a data set that has to be read as a whole: deflated, or big endian."""
        dataset = self.whole or read_dataset(self.header.path, bounds=BOUNDS)
        if self.header.file_size <= _KEPT_BYTES:
            self.whole = dataset
        values: NDArray[np.generic] = decode_frames(dataset, bounds=BOUNDS, frames=[index])[0]
        return values

    def places(self, index: int, sequence: str) -> Iterator[Dataset]:
        """Where an attribute of a frame may be, the nearest first (PS3.3 C.7.6.16)."""
        if self.attributes is None:
            return
        groups = self.attributes.get("PerFrameFunctionalGroupsSequence") or []
        shared = self.attributes.get("SharedFunctionalGroupsSequence") or []
        for group in (*groups[index : index + 1], *shared[:1]):
            yield from (group.get(sequence) or [])[:1]

    @property
    def presentation(self) -> Dataset:
        """All attributes but the pixels, read now if need be."""
        if self.attributes is None:
            self.attributes = read_dataset(self.header.path, bounds=BOUNDS, stop_before_pixels=True)
        return self.attributes


def _plain(header: ImageHeader, data: bytes) -> NDArray[np.generic] | None:
    """Native little endian grey values, without pydicom; None where it is not that simple."""
    if header.samples != 1:
        return None
    shape = (header.rows, header.columns)
    if header.pixel_tag in (FLOAT_PIXELS, DOUBLE_PIXELS):
        kind = "<f4" if header.pixel_tag == FLOAT_PIXELS else "<f8"
        return np.frombuffer(data, kind).reshape(shape)
    if header.bits_allocated == 1:
        bits = np.unpackbits(np.frombuffer(data, "u1"), bitorder="little")
        return bits[: header.rows * header.columns].reshape(shape)
    kind = _PLAIN_TYPES.get(header.bits_allocated, "")
    if not kind:
        return None
    return np.frombuffer(data, kind.replace("u", "i") if header.signed else kind).reshape(shape)


def _one_frame(header: ImageHeader, data: bytes) -> Dataset:
    """A data set of one frame, as it is stored, for the decoders."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(header.syntax)
    if header.pixels.length is not None:
        dataset.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.1")
    dataset.Rows, dataset.Columns = header.rows, header.columns
    dataset.SamplesPerPixel = header.samples
    dataset.PhotometricInterpretation = header.photometric or "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored = header.bits_allocated, header.bits_stored
    dataset.HighBit = header.high_bit
    dataset.PixelRepresentation = int(header.signed)
    dataset.NumberOfFrames = 1
    if header.samples > 1:
        dataset.PlanarConfiguration = header.planar
    is_native = header.pixels.length is not None
    dataset.PixelData = data + b"\0" * (len(data) % 2) if is_native else encapsulate([data])
    dataset["PixelData"].VR = "OW" if is_native and header.bits_allocated > 8 else "OB"
    return dataset


def plain_image(path: Path) -> Image | None:
    """An image that is shown without a decoder, and without anything that only a data set tells:
    grey values as they lie in the file, a moderate number. None for every other one.

    Raises:
        DicomError: it has no pixels, or cannot be read.
        OSError: the file cannot be opened.
    """
    frames = find_frames(path, BOUNDS)
    header = frames.header
    is_plain = (
        frames.is_native
        and frames.in_file
        and frames.is_little_endian
        and header.samples == 1
        and header.bits_allocated in (8, 16)
        and header.pixel_tag not in (FLOAT_PIXELS, DOUBLE_PIXELS)
        and not header.noted & _COMPLEX
        and header.photometric != "PALETTE COLOR"
        and header.rows * header.columns <= _PLAIN_PIXELS
    )
    return Image(frames) if is_plain else None


_opened: OrderedDict[tuple[str, int, int], Image] = OrderedDict()


def open_image(path: Path) -> Image:
    """An image; one that was open a moment ago is not read again.

    Raises:
        DicomError: it has no pixels, or cannot be read.
        OSError: the file cannot be opened.
    """
    state = path.stat()
    key = (str(path), state.st_mtime_ns, state.st_size)
    image = _opened.get(key)
    if image is None:
        image = Image(find_frames(path, BOUNDS))
        if image.header.noted & _COMPLEX:
            with quiet_pydicom():
                _ = image.presentation
        _opened[key] = image
        while len(_opened) > _KEPT_IMAGES:
            _opened.popitem(last=False)
    _opened.move_to_end(key)
    return image


def frame_value(image: Image, index: int, sequence: str, keyword: str) -> Any:
    """An attribute that functional groups give for a frame; None where they do not."""
    for place in image.places(index, sequence):
        value = place.get(keyword)
        if value is not None and value != "":
            return value
    return None
