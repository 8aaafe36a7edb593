"""Instances from DICOM JSON: what contradicts itself fails alone, and says why."""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset

from isocenter.core.dicom import described
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.phantoms import head_phantom

URI = "http://sender.example/bulk/1"


@pytest.fixture
def whole() -> dict[str, Any]:
    """An image of 4 x 4 with 16 bits, its pixel data inline."""
    return small()


def small() -> dict[str, Any]:
    image = head_phantom("odd", slices=1, rows=4, columns=4, spacing_mm=30.0).images[0]
    image.PatientName = "Müller^Jörg"
    image.ReferencedImageSequence = [Dataset()]
    image.ReferencedImageSequence[0].ReferencedSOPInstanceUID = "1.2.3"
    return dict(image.to_json_dict(bulk_data_threshold=1 << 30))


GOOD = small()


def made(*instances: Any, folder: Path, bulk: tuple[bytes, str] | None = None) -> list[Any]:
    """What `run` answers."""
    (folder / "metadata.json").write_text(json.dumps(instances))
    parts = []
    if bulk is not None:
        (folder / "bulk").write_bytes(bulk[0])
        parts.append(
            {
                "location": URI,
                "path": str(folder / "bulk"),
                "media_type": bulk[1],
                "transfer_syntax": "",
            }
        )
    request = {"metadata": str(folder / "metadata.json"), "folder": str(folder), "bulk": parts}
    return list(described.run(request, lambda *_: None)["instances"])


def reason(instance: dict[str, Any], folder: Path, bulk: tuple[bytes, str] = (b"", "a/b")) -> str:
    """Why it fails; a good one beside it does not, and of the bad one nothing is left."""
    bad, good = made(instance, GOOD, folder=folder, bulk=bulk)
    assert good["reason"] == ""
    assert Path(good["path"]).exists()
    assert Path(bad["path"]).exists() == (bad["reason"] == "")
    return str(bad["reason"])


# -- one odd instance alone ---------------------------------------------------------------------


@pytest.mark.parametrize("vr", [["OW"], {"OW": 1}, 7, None, True, "ow", ""], ids=str)
@pytest.mark.parametrize("key", ["InlineBinary", "Value", "BulkDataURI", "none"])
@pytest.mark.parametrize("is_nested", [False, True])
def test_a_vr_that_is_none(
    whole: dict[str, Any], tmp_path: Path, vr: Any, key: str, is_nested: bool
) -> None:
    place = whole["00081140"]["Value"][0] if is_nested else whole
    place["00091002"] = {"vr": vr, key: "AAAA"}
    assert reason(whole, tmp_path) == "00091002 has no VR that is known"


def test_what_nobody_thought_of(
    whole: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = described.check_described

    def check(instance: Any) -> None:
        if instance == whole:
            raise ZeroDivisionError("patient data")
        checked(instance)

    monkeypatch.setattr(described, "check_described", check)
    whole["00100020"] = {"vr": "LO", "Value": ["other"]}
    assert reason(whole, tmp_path) == "cannot be read as DICOM JSON (ZeroDivisionError)"


def test_a_full_disk_is_no_fault_of_an_instance(
    whole: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(*_: Any) -> None:
        raise OSError(28, "no space")

    monkeypatch.setattr(described, "write_described", write)
    with pytest.raises(OSError, match="no space"):
        made(whole, folder=tmp_path)


KEYS = st.sampled_from(
    ["vr", "Value", "InlineBinary", "BulkDataURI", "Alphabetic", "00280010", "7FE00010", "00020010"]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["OW", "SQ", "US", "PN", "AT", "IS", "UN", "FL", URI, "AAAA", "1e999"])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a JSON and a key of it."""
    keys = node.keys() if isinstance(node, dict) else range(len(node))
    for key in list(keys):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from places(node[key])


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_arbitrary_json_at_any_place(data: st.DataObject) -> None:
    holder = [copy.deepcopy(GOOD)]
    found = list(places(holder))
    node, key = found[data.draw(st.integers(0, len(found) - 1))]
    if isinstance(node, dict) and data.draw(st.booleans()):
        key = data.draw(KEYS | st.text(max_size=8))
    node[key] = data.draw(JSON)
    folder = Path(tempfile.mkdtemp())
    try:
        why = reason(holder[0], folder, (b"12345678", "application/octet-stream"))
        assert "cannot be read as DICOM JSON" not in why  # the net is for nothing
        if not why:
            with quiet_pydicom():
                pydicom.dcmread(folder / "0.dcm").walk(lambda *_: None)
    finally:
        shutil.rmtree(folder)


# -- numbers ------------------------------------------------------------------------------------

LIMITS = {
    "US": (0, 0xFFFF),
    "SS": (-0x8000, 0x7FFF),
    "UL": (0, 0xFFFFFFFF),
    "SL": (-0x80000000, 0x7FFFFFFF),
    "UV": (0, (1 << 64) - 1),
    "SV": (-(1 << 63), (1 << 63) - 1),
    "IS": (-0x80000000, 0x7FFFFFFF),
}


@pytest.mark.parametrize("vr", LIMITS)
def test_whole_numbers(whole: dict[str, Any], tmp_path: Path, vr: str) -> None:
    lowest, highest = LIMITS[vr]
    good = [lowest, highest, 4, 4.0, "7"]
    whole["00091002"] = {"vr": vr, "Value": good}
    assert reason(whole, tmp_path) == ""
    kept = pydicom.dcmread(tmp_path / "0.dcm")[0x00091002].value
    assert list(kept) == [lowest, highest, 4, 4, 7]
    for bad in (4.5, True, "4.5", "4_0", "", {}, [], "x", 1e999, float("nan")):
        whole["00091002"] = {"vr": vr, "Value": [1, bad]}
        assert reason(whole, tmp_path).startswith("a value of 00091002 is no whole number"), bad
    for bad in (lowest - 1, highest + 1, str(highest + 1), 1e300):
        whole["00091002"] = {"vr": vr, "Value": [1, bad]}
        assert reason(whole, tmp_path).startswith("a value of 00091002 is beyond"), bad


@pytest.mark.parametrize("vr", ["FL", "FD", "DS"])
def test_other_numbers(whole: dict[str, Any], tmp_path: Path, vr: str) -> None:
    whole["00091002"] = {"vr": vr, "Value": [4, 4.5, "-2.5e3", ".5"]}
    assert reason(whole, tmp_path) == ""
    assert list(pydicom.dcmread(tmp_path / "0.dcm")[0x00091002].value) == [4, 4.5, -2500, 0.5]
    for bad in (True, "x", "", {}, "1_0"):
        whole["00091002"] = {"vr": vr, "Value": [bad]}
        assert reason(whole, tmp_path).startswith("a value of 00091002 is no number"), bad
    for bad in ("1e999", 10**400, *([1e39, "1e39"] if vr == "FL" else [])):
        whole["00091002"] = {"vr": vr, "Value": [bad]}
        assert reason(whole, tmp_path).startswith("a value of 00091002 is beyond"), bad
    for special in ("NaN", "inf", "-inf", float("nan"), float("inf")):
        whole["00091002"] = {"vr": vr, "Value": [special]}
        assert (reason(whole, tmp_path) == "") == (vr != "DS"), special


def test_a_number_that_only_python_calls_infinite(tmp_path: Path, whole: dict[str, Any]) -> None:
    whole["00091002"] = {"vr": "FD", "Value": ["here"]}
    path = tmp_path / "metadata.json"
    path.write_text(json.dumps([whole]).replace('"here"', "1e999"))
    request = {"metadata": str(path), "folder": str(tmp_path), "bulk": []}
    (answer,) = described.run(request, lambda *_: None)["instances"]
    assert answer["reason"] == "a value of 00091002 is beyond what its VR FD holds"


@pytest.mark.parametrize("vr", ["IS", "DS"])
@pytest.mark.parametrize(
    ("value", "written"), [([None, 5], b"\\5"), ([None, None], b"\\ "), ([None], b"")]
)
def test_empty_ones_of_several_numbers(
    whole: dict[str, Any], tmp_path: Path, vr: str, value: list[Any], written: bytes
) -> None:
    whole["00091002"] = {"vr": vr, "Value": value}
    assert reason(whole, tmp_path) == ""
    kept = pydicom.dcmread(tmp_path / "0.dcm").get_item(0x00091002).value or b""
    assert kept.replace(b".0", b"").ljust(len(written)) == written


@pytest.mark.parametrize("vr", ["US", "SL", "UV", "FL", "FD", "AT"])
def test_binary_numbers_are_never_empty(whole: dict[str, Any], tmp_path: Path, vr: str) -> None:
    whole["00091002"] = {"vr": vr, "Value": [None]}
    assert reason(whole, tmp_path) == ""
    whole["00091002"] = {"vr": vr, "Value": [None, None]}
    assert reason(whole, tmp_path).startswith("00091002 has an empty one of several values")


@pytest.mark.parametrize(
    ("element", "why"),
    [
        ({"vr": "AT", "Value": ["0028"]}, "a value of 00091002 is no tag"),
        ({"vr": "AT", "Value": [28]}, "a value of 00091002 is no text"),
        ({"vr": "LO", "Value": [0]}, "a value of 00091002 is no text"),
        ({"vr": "LO", "Value": [{}]}, "a value of 00091002 is no text"),
        ({"vr": "LO", "Value": "text"}, "the Value of 00091002 is no list"),
        ({"vr": "PN", "Value": [{"alphabetic": "A"}]}, "a value of 00091002 is no person name"),
        ({"vr": "PN", "Value": [{"Alphabetic": 1}]}, "a part of the name in 00091002"),
        ({"vr": "OW", "Value": [1, 2]}, "00091002 has a Value"),
    ],
)
def test_values_of_another_kind(
    whole: dict[str, Any], tmp_path: Path, element: dict[str, Any], why: str
) -> None:
    whole["00091002"] = element
    assert reason(whole, tmp_path).startswith(why)


@pytest.mark.parametrize("tag", ["PixelData", "0x280010", "28", "0028001G"])
def test_tags_that_are_none(whole: dict[str, Any], tmp_path: Path, tag: str) -> None:
    whole[tag] = {"vr": "US", "Value": [4]}
    assert "no tag of eight digits" in reason(whole, tmp_path)


def test_a_tag_that_comes_in_capitals_and_without(whole: dict[str, Any], tmp_path: Path) -> None:
    whole["7fe00010"] = {"vr": "OW", "InlineBinary": ""}
    assert reason(whole, tmp_path) == "7fe00010 comes twice"
