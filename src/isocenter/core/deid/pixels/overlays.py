"""Overlay planes (PS3.3 C.9.2) and icons (C.7.6.1.1.6): the other places where text is drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from isocenter.core.deid.pixels.ocr import Picture, TextDetector
from isocenter.core.deid.pixels.rectangles import Rectangle
from isocenter.core.deid.pixels.views import find_text
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.dicom.reading import reading_attributes
from isocenter.core.errors import PixelError

_MAX_PIXELS = 1 << 28


def overlay_groups(dataset: Dataset) -> tuple[int, ...]:
    """Groups 6000 to 60FF that have an element, ascending (PS3.5 7.6)."""
    groups = {tag.group for tag in list(dataset.keys())}
    return tuple(sorted(g for g in groups if 0x6000 <= g <= 0x60FF and g % 2 == 0))


def remove_overlays(dataset: Dataset, groups: tuple[int, ...] | None = None) -> None:
    """Take whole groups away, all where `groups` is None."""
    wanted = overlay_groups(dataset) if groups is None else groups
    for tag in [tag for tag in list(dataset.keys()) if tag.group in wanted]:
        del dataset[tag]


def planes_without_data(dataset: Dataset) -> tuple[int, ...]:
    """Groups that describe a plane but hold none: it was in the pixels (retired), or is gone."""
    return tuple(g for g in overlay_groups(dataset) if (g, 0x3000) not in dataset)


def plane_of(dataset: Dataset, group: int) -> NDArray[np.bool_]:
    """An overlay plane as (frames, rows, columns).

    Raises:
        PixelError: its description makes no sense or its data is too short.
    """
    with quiet_pydicom(), reading_attributes("the overlay"):
        rows = int(dataset[group, 0x0010].value)
        columns = int(dataset[group, 0x0011].value)
        frames = int(dataset[group, 0x0015].value or 1) if (group, 0x0015) in dataset else 1
        data = bytes(dataset[group, 0x3000].value or b"")
    count = rows * columns * frames
    if min(rows, columns, frames) < 1 or count > _MAX_PIXELS or len(data) * 8 < count:
        raise PixelError(f"the overlay in group {group:04X} is not what its description says")
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little", count=count)
    return bits.reshape(frames, rows, columns).astype(np.bool_)


def clean_overlays(dataset: Dataset, detector: TextDetector) -> list[tuple[int, int, Rectangle]]:
    """Blank the text in every overlay plane that is there, in place.

    Planes that hold no data are removed.

    Args:
        dataset: little endian.
        detector: finds the text.

    Returns:
        group, frame from 0, and rectangle (in the plane) of what was blanked.

    Raises:
        PixelError: see :func:`plane_of`.
    """
    remove_overlays(dataset, planes_without_data(dataset))
    found: list[tuple[int, int, Rectangle]] = []
    for group in overlay_groups(dataset):
        plane = plane_of(dataset, group).copy()
        before = len(found)
        for index, frame in enumerate(plane):
            if not frame.any():
                continue
            for box in find_text(_shown(frame), detector):
                frame[box.slices] = False
                found.append((group, index, box))
        if len(found) > before:
            packed = np.packbits(plane, axis=None, bitorder="little").tobytes()
            packed += bytes(len(packed) % 2)
            dataset[group, 0x3000].value = packed
    return found


def _shown(plane: NDArray[np.bool_]) -> Picture:
    """White on black, with a border: letters that touch the edge are found too."""
    shown: Picture = plane.astype(np.uint8) * np.uint8(255)
    return shown


def remove_icons(dataset: Dataset) -> int:
    """Take every icon away, nested ones too; how many sequences there were.

    An icon shows what the image shows, and is optional wherever it may be (PS3.3 C.7.6.1.1.6).
    """
    removed = 0
    for tag in list(dataset.keys()):
        element = dataset.get_item(tag)
        if tag == 0x00880200:
            del dataset[tag]
            removed += 1
        elif element is not None and element.VR == "SQ":
            removed += sum(remove_icons(item) for item in dataset[tag].value or ())
    return removed
