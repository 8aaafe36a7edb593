"""What SEG and Secondary Capture objects made from a scene share.

Patient and study attributes are copied from the images as they are, dates and UIDs come from the
scene, and files are written so that the same data set gives the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

from pydicom.dataset import Dataset

from isocenter import __version__
from isocenter.core.contours.outputs.writer import Scene
from isocenter.core.dicom.derived import patient_and_study_of, set_identity
from isocenter.core.dicom.part10 import EXPLICIT_LITTLE, FileMeta, encode_file_meta
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.dicom.writing import encode_dataset
from isocenter.core.errors import ContourError

MANUFACTURER = "Isocenter"
#: Type 2 attributes of the Patient and General Study modules: present, if only empty.
_REQUIRED_KEYWORDS = (
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
_LOSSY_KEYWORDS = ("LossyImageCompressionRatio", "LossyImageCompressionMethod")
_MAX_EXPLICIT_LENGTH = 0xFFFFFFFE


def study_object(
    scene: Scene,
    source: Dataset,
    *,
    kind: str,
    sop_uid: str,
    series_number: int,
    series_description: str,
    texts: Iterable[str] = (),
) -> Dataset:
    """A new data set in the study of `source`: patient, study, series, times, equipment.

    Args:
        scene: for UIDs and the time.
        source: header of an image of the series.
        kind: part of the series UID's derivation, such as ``seg``.
        sop_uid: of the new instance.
        series_number, series_description: of its series.
        texts: what else will be written; where one is not plain ASCII, the new object is in
            UTF-8 (ISO_IR 192), else in the source's character set.
    """
    made = patient_and_study_of(source)
    for keyword in _REQUIRED_KEYWORDS:
        if keyword not in made:
            setattr(made, keyword, None)
    description = long_string(series_description)
    if not all(text.isascii() for text in (description, *texts)):
        _use_utf_8(made)
    set_identity(
        made,
        sop_uid=sop_uid,
        series_uid=scene.uid(kind, "series"),
        series_number=series_number,
        series_description="",
        made_at=scene.made_at,
    )
    made.SeriesDescription = description
    made.Manufacturer = made.ManufacturerModelName = MANUFACTURER
    made.DeviceSerialNumber = f"{MANUFACTURER}-{__version__}"
    made.SoftwareVersions = __version__
    return made


def _use_utf_8(made: Dataset) -> None:
    """Decode all text by the character set that it came in, and write it in UTF-8 from now on."""
    with quiet_pydicom():
        made.decode()
    made.SpecificCharacterSet = "ISO_IR 192"


def set_lossy(target: Dataset, source: Dataset) -> None:
    """An image made from a lossy one says so (PS3.3 C.7.6.1.1.5)."""
    if source.get("LossyImageCompression") == "01":
        target.LossyImageCompression = "01"
        with quiet_pydicom():
            for keyword in _LOSSY_KEYWORDS:
                if keyword in source:
                    setattr(target, keyword, source[keyword].value)


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
        DataSetError: a value cannot be written.
    """
    padded = length + length % 2
    if padded > _MAX_EXPLICIT_LENGTH:
        raise ContourError(
            f"{length} bytes of pixels do not fit into one instance",
            hint="choose fewer ROIs or another format",
        )
    meta = FileMeta(str(target.SOPClassUID), str(target.SOPInstanceUID), EXPLICIT_LITTLE)
    header = encode_dataset(target, EXPLICIT_LITTLE)
    written = 0
    with path.open("wb") as out:
        out.write(encode_file_meta(meta) + header)
        out.write(struct.pack("<HH2sxxL", 0x7FE0, 0x0010, _pixel_vr(target), padded))
        for piece in pixels:
            written += out.write(piece)
        out.write(bytes(padded - length))
    if written != length:
        raise ContourError(f"{written} bytes of pixels were made, {length} were announced")


def _pixel_vr(target: Dataset) -> bytes:
    """VR of PixelData in explicit little endian: OB up to 8 bits, else OW (PS3.5 A.2)."""
    return b"OB" if int(target.BitsAllocated) <= 8 else b"OW"
