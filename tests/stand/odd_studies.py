"""Files of studies that pages have to bear: long, right-to-left and Asian names, 200 series."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

from isocenter.core.phantoms import head_phantom

SECONDARY_CAPTURE = UID("1.2.840.10008.5.1.4.1.1.7")
ROOT = "1.2.826.0.1.3680043.8.498.77."  # fixed, so that a study's address is known beforehand
LONG_DESCRIPTION = (
    "Radiotherapy planning CT head and neck with immobilisation mask, contrast enhanced, "
    "reconstructed with metal artefact reduction and extended field of view, phase 2 of 3"
)


@dataclass(frozen=True)
class OddStudy:
    """What is odd about one study.

    Attributes:
        key: for the UIDs.
        name: PatientName as decoded, component groups between equals signs.
        charset: values of SpecificCharacterSet.
        shown: a part of the name that a page must show.
    """

    key: str
    name: str
    charset: tuple[str, ...]
    description: str
    shown: str
    patient_id: str = ""
    study_date: str = "20260102"

    @property
    def study_uid(self) -> str:
        return f"{ROOT}{sum(ord(c) << (7 * i) for i, c in enumerate(self.key[:8]))}"


STUDIES = (
    OddStudy(
        "long",
        "Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh^Hubert Blaine Adolph Charles David"
        "^Frederick Gerald^Prof. Dr. med. Dr. h. c.^MD PhD FRCR",
        ("ISO_IR 192",),
        LONG_DESCRIPTION,
        "Wolfeschlegelsteinhausenbergerdorff",
        "MRN-0000000000000000000000000000000000000000000000000000000042",
    ),
    OddStudy("arabic", "قباني^لنزار", ("ISO_IR 127",), "تصوير مقطعي للرأس", "قباني", "AR-1"),
    OddStudy("hebrew", "שרון^דבורה", ("ISO_IR 138",), "CT ראש עם חומר ניגוד", "שרון", "HE-1"),
    OddStudy(
        "japanese",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
        ("", "ISO 2022 IR 87"),
        "頭部単純CT",
        "山田",
        "JP-1",
    ),
    OddStudy(
        "korean",
        "Hong^Gildong=洪^吉洞=홍^길동",
        ("", "ISO 2022 IR 149"),
        "두부 CT",
        "Hong",
        "KR-1",
    ),
    OddStudy("chinese", "Wang^XiaoDong=王^小东", ("GB18030",), "头部平扫", "王", "CN-1"),
    OddStudy("russian", "Люкceмбypг^Анна", ("ISO_IR 144",), "КТ головы", "Люкceмбypг", "RU-1"),
    OddStudy(
        "markup",
        "<b>Bold^<script>alert(1)</script>",
        ("ISO_IR 192",),
        '"><img src=x onerror=alert(1)>{{ 7*7 }}',
        "<b>Bold",
        "<i>1</i>",
    ),
    OddStudy("nameless", "", ("ISO_IR 192",), "", "", "", ""),
)
MANY_SERIES_UID = f"{ROOT}200"
MANY_SERIES = 200


def by_key(key: str) -> OddStudy:
    return next(study for study in STUDIES if study.key == key)


def write_odd_studies(folder: Path) -> None:
    """One small CT series for each of `STUDIES`."""
    folder.mkdir(parents=True, exist_ok=True)
    with disable_value_validation():  # names are longer than they may be, as they are in life
        for odd in STUDIES:
            _write(folder, odd)


def _write(folder: Path, odd: OddStudy) -> None:
    phantom = head_phantom(
        odd.key, slices=3, rows=64, columns=64, spacing_mm=4.0, slice_distance_mm=40.0
    )
    series = generate_uid(entropy_srcs=[odd.key, "series"])
    for number, image in enumerate(phantom.images, start=1):
        _disguise(image, odd)
        image.SeriesInstanceUID = series
        image.SOPInstanceUID = generate_uid(entropy_srcs=[odd.key, str(number)])
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        image.save_as(folder / f"{odd.key}-{number}.dcm", enforce_file_format=True)


def _disguise(ds: Dataset, odd: OddStudy) -> None:
    ds.SpecificCharacterSet = list(odd.charset) if len(odd.charset) > 1 else odd.charset[0]
    ds.PatientName, ds.PatientID = odd.name, odd.patient_id
    ds.StudyInstanceUID, ds.StudyDescription = odd.study_uid, odd.description[:1000]
    ds.StudyDate, ds.AccessionNumber = odd.study_date, f"ACC-{odd.key}"
    ds.SeriesDescription = odd.description[:64]


def write_many_series(folder: Path, count: int = MANY_SERIES) -> str:
    """One study with ``count`` series of one picture each; returns its UID."""
    folder.mkdir(parents=True, exist_ok=True)
    modalities = ("MR", "CT", "PT", "SC", "US")
    with disable_value_validation():
        for number in range(1, count + 1):
            ds = _picture(number)
            ds.Modality = modalities[number % len(modalities)]
            ds.save_as(folder / f"series-{number:03d}.dcm", enforce_file_format=True)
    return MANY_SERIES_UID


def _picture(number: int) -> Dataset:
    size = 48
    ramp = np.add.outer(np.arange(size), np.arange(size)) * (number % 7 + 1)
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = SECONDARY_CAPTURE
    ds.SOPInstanceUID = generate_uid(entropy_srcs=["many", str(number)])
    ds.StudyInstanceUID = MANY_SERIES_UID
    ds.SeriesInstanceUID = generate_uid(entropy_srcs=["many", "series", str(number)])
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName, ds.PatientID = "Series^Two Hundred", "MANY-200"
    ds.PatientBirthDate, ds.PatientSex = "19700101", "O"
    ds.StudyDate, ds.StudyTime, ds.AccessionNumber = "20260103", "080000", "ACC-MANY"
    ds.StudyID, ds.ReferringPhysicianName = "1", ""
    ds.StudyDescription = "Follow-up with two hundred series"
    ds.SeriesNumber, ds.InstanceNumber = number, 1
    ds.SeriesDescription = f"{number:03d} t1_mprage_sag_p2_iso_1mm_ND_DIS3D" * (1 + number % 2)
    ds.ConversionType = "WSD"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = size
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.PixelData = ramp.astype("<u2").tobytes()
    return ds
