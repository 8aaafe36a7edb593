"""Overlay planes (PS3.3 C.9.2): masks as bits beside the pixels, which stay as they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from isocenter.core.contours.masks import Mask
from isocenter.core.contours.modality_values import ModalityImage
from isocenter.core.dicom.derived import encodable
from isocenter.core.dicom.part10 import EXPLICIT_BIG
from isocenter.core.dicom.quiet import quiet_pydicom

#: 6000, 6002 … 601E (PS3.5 7.6).
GROUPS = tuple(range(0x6000, 0x6020, 2))
_LONG_STRING = 64
_SUBTYPES = {"AUTOMATIC": "AUTOMATED", "SEMIAUTOMATIC": "USER", "MANUAL": "USER"}


@dataclass(frozen=True)
class RoiStatistics:
    """ROI attributes of an overlay plane (PS3.3 C.9.2.1.5), of modality values.

    Attributes:
        area: number of pixels.
        mean, deviation: None where the pixels could not be read or the area is 0.
    """

    area: int
    mean: float | None = None
    deviation: float | None = None


@dataclass(frozen=True, eq=False)
class OverlayPlane:
    """One overlay plane of one image.

    Attributes:
        group: even, 6000 to 601E.
        mask: (rows, columns) of the image.
        label, description: for people.
        overlay_type: R (region of interest) or G (graphics).
        generation_algorithm: ROIGenerationAlgorithm of the ROI, or empty.
        statistics: only for type R.
    """

    group: int
    mask: Mask
    label: str
    description: str
    overlay_type: str = "R"
    generation_algorithm: str = ""
    statistics: RoiStatistics | None = None


def free_groups(headers: Iterable[Dataset]) -> tuple[int, ...]:
    """Overlay groups that no image of a series uses, ascending."""
    used = {tag.group for header in headers for tag in list(header.keys())}
    return tuple(group for group in GROUPS if group not in used)


def add_overlay(dataset: Dataset, plane: OverlayPlane) -> None:
    """Adds one overlay plane to an image. Groups that are there stay untouched."""
    group = plane.group
    label = long_string(plane.label, dataset, fallback=f"Overlay {group:04X}")
    description = long_string(plane.description, dataset, fallback=label)
    dataset.add_new((group, 0x0010), "US", plane.mask.shape[0])
    dataset.add_new((group, 0x0011), "US", plane.mask.shape[1])
    dataset.add_new((group, 0x0022), "LO", description)
    dataset.add_new((group, 0x0040), "CS", plane.overlay_type)
    subtype = _SUBTYPES.get(plane.generation_algorithm.upper())
    if subtype:
        dataset.add_new((group, 0x0045), "LO", subtype)
    dataset.add_new((group, 0x0050), "SS", [1, 1])
    dataset.add_new((group, 0x0100), "US", 1)
    dataset.add_new((group, 0x0102), "US", 0)
    if plane.statistics is not None and plane.overlay_type == "R":
        _add_statistics(dataset, group, plane.statistics)
    dataset.add_new((group, 0x1500), "LO", label)
    swapped = str(dataset.file_meta.TransferSyntaxUID) == EXPLICIT_BIG
    dataset.add_new((group, 0x3000), "OW", packed(plane.mask, swapped=swapped))


def packed(mask: Mask, *, swapped: bool = False) -> bytes:
    """A mask as OverlayData: rows one after the other, lowest bit first, words of 16 bits.

    `swapped` gives the words of a big endian data set.
    """
    bits = np.packbits(mask, axis=None, bitorder="little")
    if bits.size % 2:
        bits = np.append(bits, np.uint8(0))
    return bits.view(np.uint16).byteswap().tobytes() if swapped else bits.tobytes()


def long_string(text: str, dataset: Dataset, *, fallback: str = "") -> str:
    """`text` as a value of VR LO in `dataset`: one line, no backslash, at most 64 characters.

    Letters that its character set lacks are left out, and `fallback` stands in when none is left.
    """
    clean = "".join(c if c.isprintable() and c != "\\" else " " for c in text)
    with quiet_pydicom():
        said = encodable(clean, dataset).strip()
    return shortened(said or fallback, _LONG_STRING)


def shortened(text: str, limit: int) -> str:
    """`text`, cut to `limit` characters with three dots at the end where it is longer."""
    return text if len(text) <= limit else text[: limit - 3].rstrip() + "..."


def _add_statistics(dataset: Dataset, group: int, statistics: RoiStatistics) -> None:
    dataset.add_new((group, 0x1301), "IS", statistics.area)
    if statistics.mean is not None and statistics.deviation is not None:
        dataset.add_new((group, 0x1302), "DS", f"{statistics.mean:.10g}")
        dataset.add_new((group, 0x1303), "DS", f"{statistics.deviation:.10g}")


def statistics_of(mask: Mask, image: ModalityImage | None) -> RoiStatistics:
    """Area, mean and (population) standard deviation of the modality values under a mask."""
    area = int(np.count_nonzero(mask))
    if area == 0 or image is None:
        return RoiStatistics(area)
    inside = image.values(mask)
    return RoiStatistics(area, float(inside.mean()), float(inside.std()))


def joined_names(names: Sequence[str]) -> tuple[str, str]:
    """(label, description) of a plane that shows several ROIs."""
    if len(names) == 1:
        return names[0], names[0]
    return f"{len(names)} ROIs", ", ".join(names)
