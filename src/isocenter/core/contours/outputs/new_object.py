"""What SEG and Secondary Capture objects made from a scene share.

Patient and study attributes are copied from the images as they are, dates and UIDs come from the
scene, and files are written so that the same data set gives the same bytes.
"""

from __future__ import annotations

import copy
import struct
from collections.abc import Iterable
from pathlib import Path

from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from isocenter import __version__
from isocenter.core.contours.outputs.writer import Scene
from isocenter.core.dicom.part10 import EXPLICIT_LITTLE, FileMeta, encode_file_meta
from isocenter.core.errors import ContourError

#: Patient (PS3.3 C.7.1.1), General Study (C.7.2.1), Patient Study (C.7.2.2) attributes that are
#: copied. No sequences: they may carry text in a character set that is not the new object's.
STUDY_KEYWORDS = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientBirthTime",
    "PatientSex",
    "OtherPatientIDs",
    "PatientComments",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
    "StudyDescription",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "MedicalAlerts",
    "Allergies",
    "PregnancyStatus",
)
#: Type 2 attributes of those modules: present, if only empty.
REQUIRED_KEYWORDS = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
)
MANUFACTURER = "Isocenter"
_MAX_EXPLICIT_LENGTH = 0xFFFFFFFE


def copy_study(source: Dataset, target: Dataset, *, texts: Iterable[str] = ()) -> None:
    """Give `target` the patient and study attributes and the character set of `source`.

    Args:
        source: header of an image of the series.
        target: the new object.
        texts: what else will be written; when the source's character set may not have its
            characters, the new object is in UTF-8 (ISO_IR 192).
    """
    for keyword in REQUIRED_KEYWORDS:
        setattr(target, keyword, None)
    # Values longer or odder than their VR allows are the sender's; they are kept as they are.
    with disable_value_validation():
        for keyword in STUDY_KEYWORDS:
            if keyword in source:
                target[keyword] = copy.deepcopy(source[keyword])
    plain = all(text.isascii() for text in texts)
    charset = source.get("SpecificCharacterSet") if plain else "ISO_IR 192"
    if charset:
        target.SpecificCharacterSet = charset
    elif "SpecificCharacterSet" in target:
        del target.SpecificCharacterSet


def stamp(target: Dataset, scene: Scene) -> None:
    """Dates, times and equipment: those of the scene and of this software."""
    date = scene.made_at.strftime("%Y%m%d")
    time = scene.made_at.strftime("%H%M%S.%f")
    for keyword in ("InstanceCreationDate", "ContentDate", "SeriesDate"):
        setattr(target, keyword, date)
    for keyword in ("InstanceCreationTime", "ContentTime", "SeriesTime"):
        setattr(target, keyword, time)
    offset = scene.made_at.strftime("%z")
    if offset:
        target.TimezoneOffsetFromUTC = offset[:5]
    target.Manufacturer = MANUFACTURER
    target.ManufacturerModelName = MANUFACTURER
    target.DeviceSerialNumber = f"{MANUFACTURER}-{__version__}"
    target.SoftwareVersions = __version__


def long_string(text: str, limit: int = 64) -> str:
    """`text` as a value of VR LO: no backslash, no control characters, at most 64 characters."""
    clean = "".join(c if c.isprintable() and c != "\\" else " " for c in text)
    return clean.strip()[:limit].strip()


def write_instance(
    target: Dataset, path: Path, pixels: Iterable[bytes | memoryview], length: int
) -> None:
    """Write a data set and its PixelData as a Part 10 file in explicit little endian.

    Args:
        target: data set without PixelData, which must be the last element.
        path: file to write.
        pixels: the bytes of PixelData, in pieces; never in memory as a whole.
        length: how many bytes they are.

    Raises:
        ContourError: more than an explicit length can say (4 GiB), or not `length` bytes.
    """
    padded = length + length % 2
    if padded > _MAX_EXPLICIT_LENGTH:
        raise ContourError(
            f"{length} bytes of pixels do not fit into one instance",
            hint="choose fewer ROIs or another format",
        )
    meta = FileMeta(str(target.SOPClassUID), str(target.SOPInstanceUID), EXPLICIT_LITTLE)
    # pydicom reads the encoding from here when sequences are nested.
    target.set_original_encoding(False, True, target.get("SpecificCharacterSet", "ISO_IR 6"))
    written = 0
    with path.open("wb") as out:
        out.write(encode_file_meta(meta))
        out.write(encoded(target))
        out.write(struct.pack("<HH2sxxL", 0x7FE0, 0x0010, _pixel_vr(target), padded))
        for piece in pixels:
            written += out.write(piece)
        out.write(bytes(padded - length))
    if written != length:
        raise ContourError(f"{written} bytes of pixels were made, {length} were announced")


def encoded(dataset: Dataset) -> bytes:
    """A data set in explicit little endian."""
    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = False
    with disable_value_validation():
        write_dataset(buffer, dataset)
    return bytes(buffer.getvalue())


def _pixel_vr(target: Dataset) -> bytes:
    """VR of PixelData in explicit little endian: OB up to 8 bits, else OW (PS3.5 A.2)."""
    return b"OB" if int(target.BitsAllocated) <= 8 else b"OW"
