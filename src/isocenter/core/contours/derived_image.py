"""What an image that is a source image plus something of ours has in common (PS3.3 C.7.6.1).

The source's data set is taken as it is, pixels included, and written again in its own transfer
syntax; only what makes it a derived image in a new series changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from pydicom.charset import convert_encodings
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from isocenter import __version__
from isocenter.core.dicom.part10 import (
    DEFLATED_LITTLE,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    FileMeta,
    encode_file_meta,
)
from isocenter.core.dicom.reading import quiet_pydicom

UTF_8 = "ISO_IR 192"
_LONG_TEXT = 1024
_LONG_STRING = 64
_SOURCE_IMAGE = ("121322", "DCM", "Source Image for Image Processing Operation")
_MODIFYING = ("109103", "DCM", "Modifying Equipment")
#: Signatures and MACs are no longer true of a changed data set (PS3.3 C.12.1.1.3).
_SIGNATURES = ("MACParametersSequence", "DigitalSignaturesSequence")


@dataclass(frozen=True)
class NewSeries:
    """The series that derived images go into.

    Attributes:
        uid: its SeriesInstanceUID.
        number, description: None keeps the source's.
        study_id: overwrites StudyID; None keeps the source's.
        made_at: aware; for dates of series, content and instance.
    """

    uid: str
    made_at: datetime
    number: int | None = None
    description: str | None = None
    study_id: str | None = None


def make_derived(
    dataset: Dataset, sop_uid: str, series: NewSeries, derivation: str, *, keep_source: bool = False
) -> None:
    """Turns a source image into a derived one, in place.

    Patient, study, frame of reference and pixels stay untouched. ImageType becomes
    DERIVED\\SECONDARY with the source's further values; SourceImageSequence names the source.

    Args:
        dataset: the source, read in full.
        sop_uid: the new SOP Instance UID.
        series: the new series.
        derivation: added to DerivationDescription.
        keep_source: the source is itself an intermediate image that nobody will get, so its
            own SourceImageSequence stays.
    """
    source = _reference(dataset)
    with quiet_pydicom():
        _drop_group_lengths(dataset)
        for keyword in _SIGNATURES:
            if keyword in dataset:
                del dataset[keyword]
        dataset.ImageType = ["DERIVED", "SECONDARY", *_further_image_type(dataset)]
        if not (keep_source and dataset.get("SourceImageSequence")):
            dataset.SourceImageSequence = Sequence([source])
        before = str(dataset.get("DerivationDescription") or "").strip()
        text = f"{before}; {derivation}" if before else derivation
        dataset.DerivationDescription = shortened(text, _LONG_TEXT)
        dataset.SOPInstanceUID = sop_uid
        dataset.SeriesInstanceUID = series.uid
        if series.number is not None:
            dataset.SeriesNumber = series.number
        if series.description is not None:
            dataset.SeriesDescription = long_string(series.description)
        if series.study_id is not None:
            dataset.StudyID = series.study_id
        _date(dataset, series.made_at)
        _add_equipment(dataset, series.made_at)


def write_derived(dataset: Dataset, path: Path, syntax: str | None = None) -> None:
    """Writes a data set as a Part 10 file; the same data set gives the same bytes.

    Args:
        dataset: read by `read_dataset`, then changed.
        path: file to write.
        syntax: its transfer syntax now; None: as it was read, deflated as explicit.
    """
    was = str(dataset.file_meta.TransferSyntaxUID)
    syntax = syntax or (EXPLICIT_LITTLE if was == DEFLATED_LITTLE else was)
    meta = FileMeta(str(dataset.SOPClassUID), str(dataset.SOPInstanceUID), syntax)
    buffer = DicomBytesIO()
    buffer.is_little_endian = syntax != EXPLICIT_BIG
    buffer.is_implicit_VR = syntax == IMPLICIT_LITTLE
    with quiet_pydicom():
        write_dataset(buffer, dataset)
    with path.open("wb") as file:
        file.write(encode_file_meta(meta))
        file.write(buffer.getbuffer())


def make_encodable(dataset: Dataset, *texts: str) -> None:
    """Makes sure that `texts` can be written into `dataset`.

    Where its character set lacks a character, all text is decoded and will be written in UTF-8
    (ISO_IR 192); else nothing changes.
    """
    said: Any = dataset.get("SpecificCharacterSet") or "ISO_IR 6"
    charsets = [said] if isinstance(said, str) else list(said)
    if all(text.isascii() for text in texts) or charsets == [UTF_8]:
        return
    if len(charsets) == 1:
        try:
            for text in texts:
                text.encode(convert_encodings(charsets)[0])
        except (UnicodeEncodeError, LookupError):
            pass
        else:
            return
    with quiet_pydicom():
        dataset.decode()
    dataset.SpecificCharacterSet = UTF_8


def long_string(text: str) -> str:
    """`text` as a value of VR LO: one line, no backslash, at most 64 characters."""
    clean = "".join(c if c.isprintable() and c != "\\" else " " for c in text)
    return shortened(clean.strip(), _LONG_STRING)


def shortened(text: str, limit: int) -> str:
    """`text`, cut to `limit` characters with three dots at the end where it is longer."""
    return text if len(text) <= limit else text[: limit - 3].rstrip() + "..."


def coded(value: str, scheme: str, meaning: str) -> Dataset:
    """An item of a code sequence (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _reference(dataset: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = dataset.SOPClassUID
    item.ReferencedSOPInstanceUID = dataset.SOPInstanceUID
    item.PurposeOfReferenceCodeSequence = Sequence([coded(*_SOURCE_IMAGE)])
    return item


def _drop_group_lengths(dataset: Dataset) -> None:
    for tag in [tag for tag in dataset.keys() if tag.element == 0]:  # noqa: SIM118
        del dataset[tag]


def _further_image_type(dataset: Dataset) -> list[str]:
    value: Any = dataset.get("ImageType")
    if not value or isinstance(value, str):
        return []
    return [str(part) for part in value][2:]


def _date(dataset: Dataset, made_at: datetime) -> None:
    moment = made_at.astimezone(_zone_of(dataset, made_at))
    date, time = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S.%f")
    dataset.SeriesDate, dataset.SeriesTime = date, time
    dataset.ContentDate, dataset.ContentTime = date, time
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = date, time


def _zone_of(dataset: Dataset, made_at: datetime) -> timezone | None:
    """The time zone that the source's dates are in; all dates of a data set share it."""
    said = str(dataset.get("TimezoneOffsetFromUTC") or "")
    if len(said) == 5 and said[0] in "+-" and said[1:].isdigit():
        minutes = int(said[1:3]) * 60 + int(said[3:])
        return timezone(timedelta(minutes=-minutes if said[0] == "-" else minutes))
    offset = made_at.utcoffset()
    return timezone(offset) if offset is not None else None


def _add_equipment(dataset: Dataset, made_at: datetime) -> None:
    """The scanner stays the Manufacturer; we are contributing equipment (PS3.3 C.12.1.1.5)."""
    item = Dataset()
    item.Manufacturer = "Isocenter"
    item.ManufacturerModelName = "Isocenter"
    item.SoftwareVersions = __version__
    item.PurposeOfReferenceCodeSequence = Sequence([coded(*_MODIFYING)])
    moment = made_at.astimezone(_zone_of(dataset, made_at))
    item.ContributionDateTime = moment.strftime("%Y%m%d%H%M%S.%f") + moment.strftime("%z")
    earlier = dataset.get("ContributingEquipmentSequence") or []
    dataset.ContributingEquipmentSequence = Sequence([*earlier, item])
