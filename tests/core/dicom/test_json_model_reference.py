"""The DICOM JSON Model beside pydicom's, over all of the reference data."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import generate_fragments

from isocenter.core.dicom.json_model import dataset_json
from isocenter.core.dicom.json_model.places import Location, locate
from isocenter.core.dicom.json_model.values import in_little_endian
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.errors import DicomError, NotFound

_BULK = "instances/1/bulkdata/"
_PIXELS = ("7FE00010", "7FE00008", "7FE00009")
_TEXT = ("ST", "LT", "UT", "UC", "LO", "SH", "CS", "AE", "DA", "TM", "DT", "AS", "UI", "UR", "PN")


def theirs(dataset: Dataset) -> dict[str, Any]:
    """pydicom's model, without the elements that it cannot write."""
    found = {}
    for tag in sorted(dataset.keys()):
        key = f"{int(tag):08X}"
        if key.endswith("0000") or key in ("FFFCFFFC", "00080005"):
            continue
        try:
            element = dataset[tag]
            if element.VR == "SQ":
                found[key] = {"vr": "SQ", "Value": [theirs(item) for item in element.value]}
            else:
                found[key] = element.to_json_dict(None, 1 << 62)
        except Exception:
            found[key] = None
    return found


def differences(ours: dict[str, Any], their: dict[str, Any], where: str = "") -> list[str]:
    wrong = []
    ours = {key: value for key, value in ours.items() if key != "00080005"}
    wrong += [f"{where}{key} only here" for key in ours.keys() - their.keys()]
    wrong += [f"{where}{key} missing" for key in their.keys() - ours.keys()]
    for key in ours.keys() & their.keys():
        if their[key] is not None and (reason := _differs(key, ours[key], their[key], where)):
            wrong.append(f"{where}{key} {reason}")
    return wrong


def _differs(key: str, our: dict[str, Any], their: dict[str, Any], where: str) -> str:
    if our["vr"] != their["vr"]:
        # A private value that looks like items: pydicom guesses a sequence. Ours says what is
        # written. And pydicom looks at the data where words or numbers are possible.
        if our["vr"] == "UN" and their["vr"] == "SQ":
            return ""
        if {our["vr"], their["vr"]} <= {"OW", "OB", "US", "SS"}:
            return ""
        return f"{our['vr']} is {their['vr']}"
    if our["vr"] == "SQ":
        items, others = our.get("Value", []), their.get("Value", [])
        if len(items) != len(others):
            return f"{len(items)} items, not {len(others)}"
        pairs = enumerate(zip(items, others, strict=True))
        return "; ".join(
            reason
            for number, (item, other) in pairs
            for reason in differences(item, other, f"{where}{key}/{number}/")
        )
    if "BulkDataURI" in our:
        assert our["BulkDataURI"] == f"{_BULK}{where}{key}"
        long_enough = len(base64.b64decode(their.get("InlineBinary", ""))) > 1024
        return "" if key in _PIXELS or long_enough else "should be inline"
    if "InlineBinary" in our:
        same = base64.b64decode(our["InlineBinary"]) == base64.b64decode(their["InlineBinary"])
        return "" if same else "other bytes"
    one, other = _plain(our), _plain(their)
    if len(one) != len(other):
        return f"{len(one)} values, not {len(other)}"
    return "" if all(map(_same, one, other)) else "other values"


def _plain(attribute: dict[str, Any]) -> list[Any]:
    values = attribute.get("Value", [])
    if attribute["vr"] in _TEXT:
        values = [_stripped(value) for value in values]
    return [] if values in ([None], [""]) else values


def _stripped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: text.strip(" ") for key, text in value.items() if text} or None
    return value.replace("\0", "").strip(" ") or None if isinstance(value, str) else value


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other or math.isclose(one, other, rel_tol=1e-15)
    if isinstance(one, str) and isinstance(other, int | float):
        return one == str(other) if isinstance(other, int) else not math.isfinite(other)
    return bool(one == other)


def compared(path: Path) -> list[str]:
    with quiet_pydicom():
        dataset = dcmread(path, force=True)
        return differences(
            json.loads(dataset_json(path, bulk_uri=_BULK).full, strict=True), theirs(dataset)
        )


def test_every_file_says_what_pydicom_says(sample_files: list[Path]) -> None:
    wrong = {}
    for path in sample_files:
        if "malformed" in path.parts or (path.suffix == "" and path.name == "README"):
            continue
        # Of what is written as UN pydicom takes the numbers in the file's byte order; it is little
        # endian (PS3.5 6.2.2, note 2). The file in little endian is in the comparison, too.
        if "BigEndianExplicit" in path.name:
            continue
        if found := compared(path):
            wrong["/".join(path.parts[-3:])] = found[:4]
    assert wrong == {}


def test_malformed_files_give_a_document_or_say_why(shared_data: Path) -> None:
    for path in sorted((shared_data / "malformed").rglob("*")):
        if not path.is_file() or path.suffix == ".md":
            continue
        try:
            document = dataset_json(path, bulk_uri=_BULK)
        except DicomError:
            continue
        json.loads(document.full)
        json.loads(document.plain)


@pytest.mark.parametrize("which", ["full", "plain"])
def test_documents_are_json_with_ascending_tags(sample_files: list[Path], which: str) -> None:
    for path in sample_files[::7]:
        try:
            document = dataset_json(path, bulk_uri=_BULK)
        except DicomError:
            continue
        keys = list(json.loads(getattr(document, which)))
        assert keys == sorted(keys)


def test_byte_order_makes_no_difference(shared_data: Path) -> None:
    folder = shared_data / "transfer_syntaxes" / "ctimage_all"
    little, big = (
        next(folder.glob(f"*{name}*"))
        for name in ("LittleEndianExplicitTransfer", "BigEndianExplicitTransfer")
    )
    assert dataset_json(big).full == dataset_json(little).full


def _links(attributes: dict[str, Any]) -> list[str]:
    found = []
    for attribute in attributes.values():
        if "BulkDataURI" in attribute:
            found.append(attribute["BulkDataURI"])
        for item in attribute.get("Value", []) if attribute["vr"] == "SQ" else []:
            found += _links(item)
    return found


def _bytes_at(path: Path, location: Location) -> bytes:
    if location.made is not None:
        return b"".join(location.made.pieces())
    data = path.read_bytes()
    return b"".join(data[offset : offset + length] for offset, length in location.ranges)


def test_every_link_leads_to_the_bytes_that_pydicom_has(sample_files: list[Path]) -> None:
    count = 0
    for path in sample_files:
        if "malformed" in path.parts or path.name == "README":
            continue
        with quiet_pydicom():
            dataset = dcmread(path, force=True)
        for place in _links(json.loads(dataset_json(path, bulk_uri="").full)):
            location = locate(path, place)
            steps = place.split("/")
            item = dataset
            for tag, number in zip(steps[::2], steps[1::2], strict=False):
                item = item[int(tag, 16)].value[int(number)]
            with quiet_pydicom():
                value = item.get_item(int(steps[-1], 16)).value
            if location.is_encapsulated:
                value = b"".join(list(generate_fragments(value))[1:])
            elif "BigEndian" in path.name or location.transfer_syntax_uid.endswith(".2.2"):
                value = in_little_endian(location.vr, value)
            assert _bytes_at(path, location) == value, f"{path.name} {place}"
            count += 1
    assert count > 200


@pytest.mark.parametrize(
    "place",
    [
        "",
        "7FE0",
        "7FE00010/",
        "7FE00010/0",
        "../7FE00010",
        "00100010/0/00100020",
        "00540016/9/7FE00010",
        "7FE00010/0/7FE00010",
        "FFFEE000",
        "FFFFFFFF",
        "0008002" * 400,
        "٠٠١٠٠٠١٠",
    ],
)
def test_no_place_no_value(shared_data: Path, place: str) -> None:
    path = next((shared_data / "ct_chest_ACRIN" / "image").iterdir())
    with pytest.raises(NotFound):
        locate(path, place)
