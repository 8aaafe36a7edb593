"""Instances from DICOM JSON: what contradicts itself fails alone, and says why."""

from __future__ import annotations

import base64
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


def inline(content: bytes) -> str:
    return base64.b64encode(content).decode()


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


# -- pixel data against its description ---------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"00280010": {"vr": "US", "Value": [4.5]}}, "Rows"),
        ({"00280010": {"vr": "FD", "Value": [4.5]}}, "Rows"),
        ({"00280010": {"vr": "US", "Value": [0]}}, "Rows"),
        ({"00280010": {"vr": "US", "Value": [4, 4]}}, "Rows"),
        ({"00280011": {"vr": "SS", "Value": [-4]}}, "Columns"),
        (
            {
                "00280010": {"vr": "SS", "Value": [-4]},
                "00280011": {"vr": "SS", "Value": [-4]},
            },
            "Rows",
        ),
        ({"00280008": {"vr": "IS", "Value": [-2]}}, "NumberOfFrames"),
        ({"00280008": {"vr": "IS", "Value": [0]}}, "NumberOfFrames"),
        ({"00280010": None}, "Rows"),
        ({"00280011": None}, "Columns"),
        ({"00280002": None}, "SamplesPerPixel"),
        ({"00280100": None}, "BitsAllocated"),
        ({"00280010": {"vr": "US"}}, "Rows"),
    ],
)
@pytest.mark.parametrize("way", ["inline", "uncompressed", "compressed"])
def test_a_description_that_cannot_be(
    whole: dict[str, Any], tmp_path: Path, changes: dict[str, Any], named: str, way: str
) -> None:
    whole.update(changes)
    whole = {tag: element for tag, element in whole.items() if element is not None}
    kind = "image/jls" if way == "compressed" else "application/octet-stream"
    if way != "inline":
        whole["7FE00010"] = {"vr": "OW", "BulkDataURI": URI}
    assert named in reason(whole, tmp_path, (bytes(32), kind))


@pytest.mark.parametrize(
    ("vr", "word"), [("OB", 1), ("UN", 1), ("OW", 2), ("OF", 4), ("OL", 4), ("OD", 8), ("OV", 8)]
)
@pytest.mark.parametrize("is_inline", [False, True])
@pytest.mark.parametrize("is_nested", [False, True])
def test_words_are_whole(
    whole: dict[str, Any], tmp_path: Path, vr: str, word: int, is_inline: bool, is_nested: bool
) -> None:
    for length in range(1, 17):
        content = bytes(range(1, length + 1))
        value = {"InlineBinary": inline(content)} if is_inline else {"BulkDataURI": URI}
        place = whole["00081140"]["Value"][0] if is_nested else whole
        place["00091002"] = {"vr": vr, **value}
        why = reason(whole, tmp_path, (content, "application/octet-stream"))
        if length % word:
            assert why == f"00091002 has {length} bytes; a word of its VR {vr} has {word}"
        else:
            assert why == ""
            kept = pydicom.dcmread(tmp_path / "0.dcm")
            kept = kept.ReferencedImageSequence[0] if is_nested else kept
            assert kept[0x00091002].value == content + bytes(length % 2)


def test_words_of_pixel_data_in_a_part(whole: dict[str, Any], tmp_path: Path) -> None:
    whole["7FE00010"] = {"vr": "OW", "BulkDataURI": URI}
    why = reason(whole, tmp_path, (bytes(33), "application/octet-stream"))
    assert why == "PixelData has 33 bytes; a word of its VR OW has 2"


@pytest.mark.parametrize(
    ("tag", "vr", "bits", "keyword"),
    [("7FE00008", "OF", 32, "FloatPixelData"), ("7FE00009", "OD", 64, "DoubleFloatPixelData")],
)
@pytest.mark.parametrize("is_inline", [False, True])
def test_pixels_of_floating_point(
    whole: dict[str, Any],
    tmp_path: Path,
    tag: str,
    vr: str,
    bits: int,
    keyword: str,
    is_inline: bool,
) -> None:
    del whole["7FE00010"]
    whole["00280100"] = {"vr": "US", "Value": [bits]}
    length = 16 * bits // 8

    def with_length(length: int) -> str:
        value = {"InlineBinary": inline(bytes(length))} if is_inline else {"BulkDataURI": URI}
        whole[tag] = {"vr": vr, **value}
        return reason(whole, tmp_path, (bytes(length), "application/octet-stream"))

    assert with_length(length) == ""
    assert len(pydicom.dcmread(tmp_path / "0.dcm")[keyword].value) == length
    for wrong in (0, length - 8, length + 8):
        assert with_length(wrong) == f"{keyword} has {wrong} bytes; its description needs {length}"
    assert with_length(length - 1).startswith(tag)
    whole["00280100"] = {"vr": "US", "Value": [16]}
    assert with_length(length).startswith("BitsAllocated is not")
    del whole["00280100"]
    assert "BitsAllocated is lacking" in with_length(length)
    whole["00280100"] = {"vr": "US", "Value": [bits]}
    whole["7FE00010"] = GOOD["7FE00010"]
    assert keyword in with_length(length)


def test_pixel_data_is_bytes(whole: dict[str, Any], tmp_path: Path) -> None:
    whole["7FE00010"] = {"vr": "UT", "Value": ["x" * 64]}
    assert reason(whole, tmp_path) == "the VR of PixelData is not for bytes"


@pytest.mark.parametrize(
    ("changes", "vr", "length"),
    [
        ({"00280100": [1], "00280010": [3], "00280011": [5], "00280008": [3]}, "OB", 6),
        ({"00280100": [1], "00280010": [3], "00280011": [5]}, "OW", 2),
        ({"00280100": [8], "00280010": [1], "00280011": [3]}, "OB", 3),
        ({"00280100": [8], "00280002": [3], "00280004": ["YBR_FULL_422"]}, "OB", 32),
        ({"00280010": [4.0], "00280011": ["4"]}, "OW", 32),
        ({"00280010": [4.0], "00280008": ["1"]}, "OW", 34),
    ],
)
@pytest.mark.parametrize("is_inline", [False, True])
def test_legitimate_pixel_data(
    whole: dict[str, Any],
    tmp_path: Path,
    changes: dict[str, Any],
    vr: str,
    length: int,
    is_inline: bool,
) -> None:
    vrs = {"00280004": "CS", "00280008": "IS"}
    for tag, value in changes.items():
        whole[tag] = {"vr": vrs.get(tag, "US"), "Value": value}
    content = bytes(range(1, length + 1))
    value = {"InlineBinary": inline(content)} if is_inline else {"BulkDataURI": URI}
    whole["7FE00010"] = {"vr": vr, **value}
    assert reason(whole, tmp_path, (content, "application/octet-stream")) == ""
    kept = pydicom.dcmread(tmp_path / "0.dcm")
    assert kept.PixelData == content + bytes(length % 2)


def test_compressed_pixel_data(whole: dict[str, Any], tmp_path: Path) -> None:
    whole["7FE00010"] = {"vr": "OB", "BulkDataURI": URI}
    assert reason(whole, tmp_path, (b"\xff\xd8odd", "image/jls")) == ""
    kept = pydicom.dcmread(tmp_path / "0.dcm")
    assert kept.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.80"


def test_no_pixel_data_needs_no_description(whole: dict[str, Any], tmp_path: Path) -> None:
    for tag in ("7FE00010", "00280010", "00280011", "00280100"):
        del whole[tag]
    assert reason(whole, tmp_path) == ""
