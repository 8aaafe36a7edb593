"""Instances from DICOM JSON: pixel data against what the attributes say of it, and whole words."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset

from isocenter.core.dicom.described import Bulk, write_described
from isocenter.core.dicom.described_checks import check_described
from isocenter.core.dicom.described_pixels import check_native_length
from isocenter.core.errors import DataSetError
from isocenter.core.phantoms import head_phantom

URI = "http://sender.example/bulk/1"


@pytest.fixture
def whole() -> dict[str, Any]:
    """An image of 4 x 4 with 16 bits, its pixel data inline."""
    image = head_phantom("pixels", slices=1, rows=4, columns=4, spacing_mm=30.0).images[0]
    image.ReferencedImageSequence = [Dataset()]
    return dict(image.to_json_dict(bulk_data_threshold=1 << 30))


def reason(instance: dict[str, Any], folder: Path, bulk: tuple[bytes, str] | None = None) -> str:
    """Why no ``0.dcm`` can be made of it, or nothing."""
    content, media_type = bulk or (b"", "")
    (folder / "bulk").write_bytes(content)
    try:
        check_described(instance)
        parts = {URI: [Bulk(folder / "bulk", media_type, "")]}
        write_described(instance, parts, folder / "0.dcm")
    except DataSetError as error:
        return str(error)
    return ""


def inline(content: bytes) -> str:
    return base64.b64encode(content).decode()


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
    whole["7FE00010"] = {"vr": "OW", "InlineBinary": inline(bytes(32))}
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


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({"BitsAllocated": 1, "Rows": 3, "Columns": 5, "NumberOfFrames": 3}, 6),
        ({"Rows": 2, "Columns": 2, "SamplesPerPixel": 3, "BitsAllocated": 8}, 12),
        (
            {
                "Rows": 2,
                "Columns": 2,
                "SamplesPerPixel": 3,
                "BitsAllocated": 8,
                "PhotometricInterpretation": "YBR_FULL_422",
            },
            8,
        ),
    ],
)
def test_how_long_pixel_data_has_to_be(changes: dict[str, Any], needed: int) -> None:
    dataset = Dataset()
    dataset.SamplesPerPixel = 1
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    check_native_length(dataset, needed)
    with pytest.raises(DataSetError):
        check_native_length(dataset, needed - 1)
