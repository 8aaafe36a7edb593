"""Objects full of identity, and what of it is left in another tool's output."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pydicom
from pydicom.datadict import DicomDictionary, dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

_ENGINE = {0x00080005, 0x00080016, 0x00020003, 0x00041511}
_SKIPPED = ("SQ",)
_TEXT = {"LO", "ST", "LT", "UT", "UC", "PN", "SH", "AE", "CS", "UR"}
#: Attributes outside the table that hold somebody's text or name.
_BESIDES = [
    "EvaluatorName",
    "SecondaryReviewerName",
    "ContactDisplayName",
    "PlacerOrderNumberProcedure",
    "CommentsOnTheScheduledProcedureStep",
    "TreatmentStatusComment",
    "UniversalEntityID",
    "PatientBirthDateInAlternativeCalendar",
    "RetrieveURL",
    "StorageMediaFileSetID",
    "HangingProtocolCreator",
]


def table_tags() -> list[int]:
    """Tags of PS3.15 Table E.1-1 that a composite object can have at its top level."""
    read = json.loads((files("isocenter.core.deid") / "data" / "annex_e.json").read_text())
    return [
        int(key, 16)
        for key in read["attributes"]
        if "x" not in key
        and int(key, 16) in DicomDictionary
        and int(key, 16) not in _ENGINE
        and 0x0008 <= int(key[:4], 16) < 0xFFFA
    ]


def planted(tag: int, number: int) -> Any:
    """A value that no tool makes by itself."""
    vr = dictionary_VR(tag)
    if vr in _TEXT:
        return f"ZQ{number:04}XW"
    day = date(1971, 1, 1) + timedelta(number)
    made: dict[str, Any] = {
        "DA": day.strftime("%Y%m%d"),
        "DT": day.strftime("%Y%m%d") + "112233",
        "TM": f"{number % 24:02}3344",
        "UI": f"1.2.826.0.1.424242.{number}",
        "AS": f"0{number % 80 + 10}Y",
        "DS": str(1000 + number),
        "IS": str(1000 + number),
        "US": 1000 + number,
    }
    return made.get(vr, f"ZQ{number:04}XW!".encode())


def write_objects(folder: Path) -> dict[str, Path]:
    """A file for each kind of place where identity can be."""
    tags = [tag for tag in table_tags() if dictionary_VR(tag) not in _SKIPPED]
    top, nested, private, besides = (_base(number) for number in range(4))
    for number, tag in enumerate(tags):
        if tag != 0x00420011:
            top.add_new(tag, dictionary_VR(tag), planted(tag, number))
    inner = Dataset()
    for number, tag in enumerate(tags):
        if tag != 0x00420011:
            inner.add_new(tag, dictionary_VR(tag), planted(tag, number))
    inner.CodeValue, inner.CodingSchemeDesignator, inner.CodeMeaning = "1", "99X", "Protocol"
    nested.PerformedProtocolCodeSequence = Sequence([inner])
    block = private.private_block(0x0011, "ACME", create=True)
    for number, vr in enumerate(("LO", "PN", "UI", "LT")):
        block.add_new(number + 1, vr, "1.2.826.0.1.7" if vr == "UI" else f"ZQ{number:04}XW")
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "1", "99X"
    code.CodeMeaning = "CT chest for ZQNAME"
    besides.ProcedureCodeSequence = Sequence([code])
    besides.PatientName = "ZQNAME^Anna"
    besides.ImageType = ["DERIVED", "SECONDARY", "ZQNAME"]
    for number, keyword in enumerate(_BESIDES):
        tag = int(tag_for_keyword(keyword) or 0)
        besides.add_new(tag, dictionary_VR(tag), f"ZQ{number:04}XW")
    objects = {"table, top level": top, "table, in a sequence": nested, "private": private}
    objects["outside the table"] = besides
    paths = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, (name, dataset) in enumerate(objects.items()):
            paths[name] = folder / f"identified-{number}.dcm"
            dataset.save_as(paths[name], enforce_file_format=True)
    return paths


def _base(number: int) -> Dataset:
    dataset = Dataset()
    meta = dataset.file_meta = FileMetaDataset()
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.SOPInstanceUID = f"1.2.826.0.1.434343.{number}"
    dataset.StudyInstanceUID = dataset.SeriesInstanceUID = f"1.2.826.0.1.434344.{number}"
    dataset.PatientID, dataset.PatientName, dataset.Modality = f"ZQPID{number}", "ZQP^Q", "CT"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def survivors(old: Path, new: Path) -> tuple[int, int]:
    """Planted values of a file, and how many of them are where they were."""
    before, after = (dict(_values(pydicom.dcmread(path, force=True), "")) for path in (old, new))
    left = [place for place, value in before.items() if _is_left(value, after.get(place))]
    return len(before), len(left)


def _is_left(old: Any, new: Any) -> bool:
    if isinstance(old, str) and "ZQNAME" in old and isinstance(new, str):
        return "ZQNAME" in new
    return bool(new == old)


def _values(dataset: Dataset, path: str) -> Iterator[tuple[str, Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for element in dataset:
            place = f"{path}/{element.tag}"
            if element.VR == "SQ":
                for number, item in enumerate(element.value):
                    yield from _values(item, f"{place}[{number}]")
            elif _says_something(element.tag, element.value):
                value = element.value
                yield place, value if isinstance(value, bytes | int) else str(value)


def _says_something(tag: int, value: Any) -> bool:
    kept = (0x00080016, 0x00080060, 0x00080100, 0x00080102, 0x00080005, 0x00110010)
    if tag in kept or value in (None, "", b""):
        return False
    return tag != 0x00080104 or "ZQNAME" in str(value)
