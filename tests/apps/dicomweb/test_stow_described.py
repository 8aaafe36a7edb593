"""STOW-RS of JSON metadata with bulk data beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from django.http import HttpResponse
from django.test import Client
from pydicom import Dataset

from isocenter.apps.accounts.models import User
from isocenter.apps.accounts.services import create_token
from isocenter.apps.archive.spool import SpoolReader
from isocenter.core.dicom.described import Bulk, write_described
from isocenter.core.dicom.described_checks import check_described
from isocenter.core.errors import DataSetError
from isocenter.core.network.multipart import encode
from isocenter.core.phantoms import head_phantom
from isocenter.runtime.layout import Layout

METADATA = {"Content-Type": "application/dicom+json"}
OCTETS = "application/octet-stream"
URI = "http://sender.example/bulk/1"


@pytest.fixture
def image() -> Dataset:
    return head_phantom("described", slices=1, rows=16, columns=16, spacing_mm=9.0).images[0]


def described(image: Dataset) -> dict[str, Any]:
    """Its metadata, with pixel data elsewhere."""
    found: dict[str, Any] = image.to_json_dict()
    found["7FE00010"] = {"vr": "OW", "BulkDataURI": URI}
    return found


@pytest.fixture
def post(db: None, installation: Layout) -> Callable[..., HttpResponse]:
    user = User.objects.create(username="r", role="researcher")
    headers = {"Authorization": f"Bearer {create_token(user, ['upload']).text}"}

    def ask(metadata: Any, *bulk: tuple[dict[str, str], bytes]) -> HttpResponse:
        text = metadata if isinstance(metadata, bytes) else json.dumps(metadata).encode()
        return Client().generic(
            "POST",
            "/dicom-web/studies",
            encode([(METADATA, text), *bulk], "limit"),
            content_type='multipart/related; type="application/dicom+json"; boundary=limit',
            headers=headers,
        )

    return ask


def stored(layout: Layout) -> list[Dataset]:
    reader = SpoolReader(layout.spool)
    return [
        pydicom.dcmread(BytesIO(record.read()))
        for segment in reader.segments()
        for record in reader.records(segment)
    ]


def test_metadata_and_pixels_become_an_instance(
    post: Callable[..., HttpResponse], image: Dataset, installation: Layout
) -> None:
    image.PatientName = "Müller^Jörg"
    image.PatientComments = "東京"
    pixels = image.PixelData
    bulk = ({"Content-Type": OCTETS, "Content-Location": URI}, pixels)
    answer = post([described(image)], bulk)
    assert answer.status_code == 200, answer.content
    (kept,) = stored(installation)
    assert kept.PixelData == pixels
    assert kept.SpecificCharacterSet == "ISO_IR 192"
    assert (kept.PatientName, kept.PatientComments) == ("Müller^Jörg", "東京")
    assert kept.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    for element in image:
        if element.keyword not in ("SpecificCharacterSet", "PixelData"):
            assert kept[element.tag].value == element.value, element.keyword
    assert list(installation.uploads.iterdir()) == []


def test_nothing_is_fetched(
    post: Callable[..., HttpResponse], image: Dataset, installation: Layout
) -> None:
    answer = post([described(image)])
    assert answer.status_code == 409
    assert "nothing is fetched" in answer.headers["Warning"]
    assert stored(installation) == []


@pytest.mark.parametrize(
    "metadata",
    [
        b"no JSON",
        b"[" * 100_000,
        b"[]",
        b'"text"',
        b"[1]",
        b'[{"00080018": 1}]',
        b'[{"00080018": {"vr": "UI", "Value": {}}}]',
        b'[{"00080018": {"vr": "XX", "Value": ["1"]}}]',
        b'[{"zzzz": {"vr": "UI", "Value": ["1"]}}]',
        b'[{"00080016": {"vr": "UI", "Value": ["1.2"]},'
        b' "00080018": {"vr": "UI", "Value": ["../.."]}}]',
        b'{"00080018": {"vr": "SQ", "Value": ['
        + b'{"00081140": {"vr": "SQ", "Value": [' * 60
        + b"]}}" * 60
        + b"]}}",
    ],
    ids=range(11),
)
def test_metadata_that_is_none(
    post: Callable[..., HttpResponse], installation: Layout, metadata: bytes
) -> None:
    answer = post(metadata)
    assert answer.status_code in (400, 409), answer.content
    assert stored(installation) == []
    assert list(installation.uploads.iterdir()) == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": OCTETS},
        {"Content-Type": "application/dicom+json"},
        {"Content-Type": OCTETS, "Content-Location": URI, "Content-Encoding": "gzip"},
    ],
)
def test_bulk_data_that_cannot_be_used(
    post: Callable[..., HttpResponse],
    image: Dataset,
    installation: Layout,
    headers: dict[str, str],
) -> None:
    assert post([described(image)], (headers, b"x")).status_code == 400
    assert stored(installation) == []
    assert list(installation.uploads.iterdir()) == []


# -- how files are made -------------------------------------------------------------------------


def made(
    instance: dict[str, Any], frames: list[tuple[bytes, str, str]], folder: Path
) -> pydicom.FileDataset:
    parts = []
    for number, (content, media_type, syntax) in enumerate(frames):
        path = folder / f"bulk-{number}"
        path.write_bytes(content)
        parts.append(Bulk(path, media_type, syntax))
    target = folder / "made.dcm"
    write_described(instance, {URI: parts} if parts else {}, target)
    return pydicom.dcmread(target)


@pytest.mark.parametrize(
    ("media_type", "named", "start", "syntax"),
    [
        ("image/jls", "", b"\xff\xd8\xff\xf7", "1.2.840.10008.1.2.4.80"),
        ("image/jls", "1.2.840.10008.1.2.4.81", b"\xff\xd8", "1.2.840.10008.1.2.4.81"),
        ("image/jp2", "", b"\xff\x4f\xff\x51", "1.2.840.10008.1.2.4.90"),
        ("image/dicom-rle", "", bytes(64), "1.2.840.10008.1.2.5"),
        (
            "image/jpeg",
            "",
            b"\xff\xd8\xff\xc0\0\4ab\xff\xda\0\10\1\0\0\0\0",
            "1.2.840.10008.1.2.4.50",
        ),
        (
            "image/jpeg",
            "",
            b"\xff\xd8\xff\xc3\0\4ab\xff\xda\0\10\1\0\0\1\0",
            "1.2.840.10008.1.2.4.70",
        ),
        (
            "image/jpeg",
            "",
            b"\xff\xd8\xff\xc3\0\4ab\xff\xda\0\10\1\0\0\4\0",
            "1.2.840.10008.1.2.4.57",
        ),
    ],
)
def test_compressed_frames(
    image: Dataset, tmp_path: Path, media_type: str, named: str, start: bytes, syntax: str
) -> None:
    image.NumberOfFrames = 2
    frames = [(start + b"odd", media_type, named), (start + b"even..", media_type, named)]
    kept = made(described(image), frames, tmp_path)
    assert kept.file_meta.TransferSyntaxUID == syntax
    from pydicom.encaps import generate_frames

    found = list(generate_frames(kept.PixelData, number_of_frames=2))
    assert [
        frame.rstrip(b"\0")[: len(given)] for frame, (given, *_) in zip(found, frames, strict=True)
    ] == [given.rstrip(b"\0") for given, *_ in frames]


@pytest.mark.parametrize(
    "frames",
    [
        [(b"x", "image/jpeg", "")],
        [(b"x", "video/mp4", "")],
        [(b"x", OCTETS, "1.2.840.10008.1.2.4.90")],
        [(b"\0\0\0\x0cjP  \r\n\x87\n", "image/jp2", "")],
        [(b"x", "image/jls", ""), (b"x", "image/jls", "")],
        [(b"x", "image/jls", ""), (b"x", "image/jp2", "")],
    ],
    ids=range(6),
)
def test_frames_that_cannot_be_used(
    image: Dataset, tmp_path: Path, frames: list[tuple[bytes, str, str]]
) -> None:
    with pytest.raises(DataSetError):
        made(described(image), frames, tmp_path)


def test_values_inline(image: Dataset, tmp_path: Path) -> None:
    whole = image.to_json_dict(bulk_data_threshold=1 << 30)
    assert made(whole, [], tmp_path).PixelData == image.PixelData


def test_an_odd_number_of_bytes_is_padded(image: Dataset, tmp_path: Path) -> None:
    image.Rows, image.Columns, image.BitsAllocated, image.BitsStored = 1, 3, 8, 8
    image.HighBit = 7
    kept = made(described(image), [(b"abc", OCTETS, "")], tmp_path)
    assert (kept["PixelData"].VR, kept.PixelData) == ("OB", b"abc\0")


# -- what would become other data than was sent -------------------------------------------------

FAILED, OTHER = "00081198", "0008119A"


def refused(answer: HttpResponse, image: Dataset) -> str:
    """The note on the one instance that failed, which the answer names (PS3.18 10.5.3)."""
    assert answer.status_code == 409, answer.content
    content = json.loads(answer.content)
    (item,) = content[FAILED]["Value"]
    assert item["00081155"]["Value"] == [image.SOPInstanceUID]
    assert item["00081150"]["Value"] == [image.SOPClassUID]
    assert item["00081197"]["Value"] == [0xC000]
    assert OTHER not in content
    return answer.headers["Warning"]


def with_damage(image: Dataset, damage: Callable[[str], Any], *, is_nested: bool) -> dict[str, Any]:
    whole: dict[str, Any] = image.to_json_dict(bulk_data_threshold=1 << 30)
    pixels = whole["7FE00010"]
    broken = {**pixels, "InlineBinary": damage(pixels["InlineBinary"])}
    if is_nested:
        inner = {"00081140": {"vr": "SQ", "Value": [{"7FE00010": broken}]}}
        whole["00880200"] = {"vr": "SQ", "Value": [inner]}
    else:
        whole["7FE00010"] = broken
    return whole


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "!!!",
        lambda text: text[:5] + "*" + text[6:],
        lambda text: text[:5] + "-_" + text[7:],
        lambda text: text[:-1],
        lambda text: text + "=",
        lambda text: text + text + "==",
        lambda text: [text, text],
        lambda text: 7,
        lambda text: "é" + text[1:],
    ],
    ids=range(9),
)
@pytest.mark.parametrize("is_nested", [False, True])
def test_inline_values_are_strict_base64(
    image: Dataset, damage: Callable[[str], Any], is_nested: bool
) -> None:
    whole = with_damage(image, damage, is_nested=is_nested)
    with pytest.raises(DataSetError, match="InlineBinary of 7FE00010 is no base64"):
        check_described(whole)


@pytest.mark.parametrize("is_nested", [False, True])
def test_an_instance_with_a_broken_inline_value_fails(
    post: Callable[..., HttpResponse], image: Dataset, installation: Layout, is_nested: bool
) -> None:
    whole = with_damage(image, lambda text: "!!!", is_nested=is_nested)
    assert "InlineBinary of 7FE00010 is no base64" in refused(post([whole]), image)
    assert stored(installation) == []


def test_one_broken_instance_leaves_the_others(
    post: Callable[..., HttpResponse], image: Dataset, installation: Layout
) -> None:
    whole = image.to_json_dict(bulk_data_threshold=1 << 30)
    broken = json.loads(json.dumps(whole))
    broken["00080018"]["Value"] = ["1.2.3"]
    broken["7FE00010"]["InlineBinary"] = "!!!"
    assert post([whole, broken]).status_code == 202
    assert [kept.SOPInstanceUID for kept in stored(installation)] == [image.SOPInstanceUID]


@pytest.mark.parametrize(
    ("tag", "element", "named"),
    [
        ("00091002", {"vr": ["OW"], "InlineBinary": "AAAA"}, "00091002 has no VR"),
        ("00280010", {"vr": "US", "Value": [4.5]}, "00280010 Rows is no whole number"),
        ("00280010", {"vr": "US"}, "Rows is lacking"),
        ("00280008", {"vr": "IS", "Value": [-2]}, "NumberOfFrames is no whole number"),
        ("00091002", {"vr": "OF", "InlineBinary": "AAAA"}, "00091002 has 3 bytes"),
    ],
    ids=range(5),
)
def test_one_odd_instance_leaves_the_others(
    post: Callable[..., HttpResponse],
    image: Dataset,
    installation: Layout,
    tag: str,
    element: dict[str, Any],
    named: str,
) -> None:
    whole = image.to_json_dict(bulk_data_threshold=1 << 30)
    odd = {**whole, "00080018": {"vr": "UI", "Value": ["1.2.3"]}, tag: element}
    answer = post([odd, whole])
    assert answer.status_code == 202, answer.content
    (item,) = json.loads(answer.content)[FAILED]["Value"]
    assert item["00081155"]["Value"] == ["1.2.3"]
    assert item["00081197"]["Value"] == [0xC000]
    assert named in answer.headers["Warning"]
    assert [kept.SOPInstanceUID for kept in stored(installation)] == [image.SOPInstanceUID]


def test_white_space_in_base64_says_nothing(image: Dataset, tmp_path: Path) -> None:
    whole = image.to_json_dict(bulk_data_threshold=1 << 30)
    text = whole["7FE00010"]["InlineBinary"]
    whole["7FE00010"]["InlineBinary"] = f" {text[:8]}\r\n\t{text[8:]}\n"
    check_described(whole)
    assert made(whole, [], tmp_path).PixelData == image.PixelData


@pytest.mark.parametrize(
    "element",
    [
        {"vr": "US", "InlineBinary": "AAE="},
        {"vr": "OW", "InlineBinary": "AAE=", "BulkDataURI": URI},
        {"vr": "OW", "InlineBinary": "AAE=", "Value": [1]},
    ],
    ids=range(3),
)
def test_an_element_has_one_value(element: dict[str, Any]) -> None:
    with pytest.raises(DataSetError, match="00280010"):
        check_described({"00280010": element})


def test_pixel_data_that_is_cut_short(
    post: Callable[..., HttpResponse], image: Dataset, installation: Layout
) -> None:
    whole = image.to_json_dict(bulk_data_threshold=1 << 30)
    whole["7FE00010"]["InlineBinary"] = whole["7FE00010"]["InlineBinary"][:-8]
    assert "description needs 512" in refused(post([whole]), image)
    bulk = ({"Content-Type": OCTETS, "Content-Location": URI}, image.PixelData[:-1])
    assert "has 511 bytes" in refused(post([described(image)], bulk), image)
    assert stored(installation) == []


def test_two_parts_are_not_joined(
    post: Callable[..., HttpResponse], image: Dataset, installation: Layout
) -> None:
    half = len(image.PixelData) // 2
    parts = [
        ({"Content-Type": OCTETS, "Content-Location": URI}, content)
        for content in (image.PixelData[:half], image.PixelData[half:])
    ]
    assert "one Content-Location" in refused(post([described(image)], *parts), image)
    assert stored(installation) == []
