"""Frames of a file one after the other, and what of a frame was not seen before."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from scipy import ndimage

from isocenter.core.deid.pixels.rectangles import Rectangle, clipped
from isocenter.core.dicom.bounds import DEFAULT_BOUNDS, Bounds
from isocenter.core.dicom.part10 import DEFLATED_LITTLE, EXPLICIT_BIG, EXPLICIT_LITTLE
from isocenter.core.dicom.pixels import NATIVE, PixelLayout, decode_frames, pixel_layout
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.dicom.reading import read_dataset, structure_of
from isocenter.core.errors import DataSetError, PixelError

Frame = NDArray[np.generic]

_CHUNK_BYTES = 64 << 20
_DEFERRED = 1 << 20  # bytes; longer values stay in the file
_CELL = 16  # pixels: frames are compared cell by cell
_REACH = 48  # pixels round a change that are looked at again, so that words stay whole


class FrameSource:
    """The frames of an image in a file; native pixels stay in the file until they are asked for.

    Encapsulated and deflated pixel data is held as it is in the file, decoded a few frames at a
    time; memory is bounded by the file and 64 MiB of decoded frames. Codecs run in this process:
    for files from outside, call it isolated.

    Args:
        path: the file.
        bounds: checked before anything is read.

    Raises:
        DicomError: the file cannot be read or describes no image.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path, bounds: Bounds = DEFAULT_BOUNDS) -> None:
        self._bounds = bounds
        self._map: mmap.mmap | None = None
        self.dataset = _header(path, bounds)
        self.syntax = str(self.dataset.file_meta.TransferSyntaxUID)
        self.layout: PixelLayout = pixel_layout(self.dataset, bounds)
        self._offset = -1
        element: Any = self.dataset.get_item(self.layout.keyword)
        self.encoded_bytes = int(getattr(element, "length", 0) or 0)
        if self.encoded_bytes in (0, 0xFFFFFFFF):
            self.encoded_bytes = len(self.dataset[self.layout.keyword].value or b"")
        if self._is_plain() and getattr(element, "value", b"") is None:
            self._offset = int(element.value_tell)
            if self.encoded_bytes < self.layout.native_bytes:
                raise PixelError("the pixel data is shorter than its description says")
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def __enter__(self) -> FrameSource:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._map is not None:
            self._map.close()

    def _is_plain(self) -> bool:
        """Native little endian by pixel, whole bytes: a frame is a slice of the file."""
        layout = self.layout
        return (
            self.syntax in NATIVE - {DEFLATED_LITTLE, EXPLICIT_BIG}
            and layout.keyword == "PixelData"
            and layout.bits_allocated in (8, 16, 32)
            and (layout.samples == 1 or int(self.dataset.get("PlanarConfiguration") or 0) == 0)
            and layout.photometric_interpretation != "YBR_FULL_422"
        )

    def __iter__(self) -> Iterator[Frame]:
        """Every frame as decoded; do not write into it."""
        if self._map is not None:
            yield from self._mapped()
            return
        layout = self.layout
        per_frame = layout.rows * layout.columns * layout.samples * layout.dtype.itemsize
        step = max(1, _CHUNK_BYTES // per_frame)
        for start in range(0, layout.frames, step):
            indices = range(start, min(layout.frames, start + step))
            wanted = None if len(indices) == layout.frames else list(indices)
            yield from decode_frames(self.dataset, bounds=self._bounds, frames=wanted)

    def _mapped(self) -> Iterator[Frame]:
        layout = self.layout
        values = layout.rows * layout.columns * layout.samples
        for index in range(layout.frames):
            start = self._offset + index * values * layout.dtype.itemsize
            data = self._map[start : start + values * layout.dtype.itemsize]  # type: ignore[index]
            yield np.frombuffer(data, layout.dtype).reshape(layout.frame_shape)


def _header(path: Path, bounds: Bounds) -> FileDataset:
    """The data set, with long native values left in the file where that can be."""
    with path.open("rb") as file:
        meta, structure = structure_of(file, frozenset(), bounds)
    if structure.truncated_at is not None:
        raise DataSetError("the data set ends too early")
    if meta.transfer_syntax_uid != EXPLICIT_LITTLE:
        return read_dataset(path, bounds=bounds)
    try:
        with quiet_pydicom():
            dataset: FileDataset = dcmread(path, defer_size=_DEFERRED, force=True)
    except MemoryError:
        raise
    except Exception as error:  # pydicom raises some that derive from nothing more special
        raise DataSetError(f"the data set cannot be read ({type(error).__name__})") from error
    if not dataset.file_meta.get("TransferSyntaxUID"):
        return read_dataset(path, bounds=bounds)
    return dataset


def without_pixels(dataset: Dataset) -> Dataset:
    """A shallow copy that has everything before the pixel data."""
    return dataset[:0x7FE00000]


class Novelty:
    """Which parts of a frame differ from what was looked at before.

    Every cell of 16 by 16 pixels is compared with what it showed when it was last looked at, not
    with the frame before, so that slow changes add up. Equal means equal for stored values of 8
    bits or less apart from ``tolerance``, which compression with loss needs.
    """

    def __init__(self, tolerance: int = 0) -> None:
        self._tolerance = tolerance
        self._seen: Frame | None = None

    def areas(self, frame: Frame, known: NDArray[np.bool_]) -> list[Rectangle]:
        """Where to look; the whole frame at first.

        Args:
            frame: as decoded.
            known: (rows, columns), where text was found already; changes there do not count.
        """
        rows, columns = frame.shape[:2]
        if self._seen is None:
            self._seen = frame.copy()
            return [Rectangle(0, 0, columns, rows)]
        changed = self._changed(frame) & ~known
        if not changed.any():
            return []
        cells = _cells(changed)
        whole = np.kron(cells, np.ones((_CELL, _CELL), bool))[:rows, :columns]
        self._seen[whole] = frame[whole]
        reach = _REACH // _CELL
        near = ndimage.binary_dilation(cells, np.ones((2 * reach + 1, 2 * reach + 1)))
        labels, _ = ndimage.label(near, np.ones((3, 3)))
        areas = (
            clipped(
                box[1].start * _CELL,
                box[0].start * _CELL,
                box[1].stop * _CELL,
                box[0].stop * _CELL,
                columns,
                rows,
            )
            for box in ndimage.find_objects(labels)
        )
        return [area for area in areas if area is not None]

    def _changed(self, frame: Frame) -> NDArray[np.bool_]:
        seen = self._seen
        if seen is None:
            return np.ones(frame.shape[:2], np.bool_)
        if self._tolerance:
            difference: NDArray[np.bool_] = (
                np.abs(frame.astype(np.int64) - seen.astype(np.int64)) > self._tolerance
            )
        else:
            difference = np.not_equal(frame, seen)
        return np.asarray(difference.any(axis=2)) if difference.ndim == 3 else difference


def _cells(changed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    rows, columns = changed.shape
    padded = np.pad(changed, ((0, -rows % _CELL), (0, -columns % _CELL)))
    blocks = padded.reshape(padded.shape[0] // _CELL, _CELL, padded.shape[1] // _CELL, _CELL)
    return np.asarray(blocks.any(axis=(1, 3)), dtype=np.bool_)
