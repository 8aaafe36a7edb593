"""The DICOM JSON Model: values, bounds, what identifies, what is broken; and its XML."""

from __future__ import annotations

import base64
import io
import json
import math
import random
import struct
import xml.etree.ElementTree as ET  # of documents that were made here
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian

from isocenter.core.dicom.bounds import Bounds
from isocenter.core.dicom.charsets import text_decoder
from isocenter.core.dicom.json_model import (
    MARK,
    SeriesFile,
    SeriesWriter,
    dataset_json,
    minimal_json,
)
from isocenter.core.dicom.json_model.identity import identifies
from isocenter.core.dicom.json_model.native_xml import native_xml
from isocenter.core.dicom.json_model.places import locate
from isocenter.core.dicom.json_model.values import (
    TEXT_VALUES,
    binary_numbers,
    in_little_endian,
)
from isocenter.core.errors import DataSetError, DicomError

from .conftest import make_image

LATIN = text_decoder(b"ISO_IR 100")
NATIVE = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"


def written(vr: str, value: bytes) -> Any:
    inside = TEXT_VALUES[vr](value, LATIN)
    return json.loads(f"[{inside}]")


def saved(tmp_path: Path, dataset: Dataset) -> Path:
    path = tmp_path / "one.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


def model(path: Path, **more: Any) -> dict[str, Any]:
    return dict(json.loads(dataset_json(path, bulk_uri="", **more).full))


@pytest.mark.parametrize(
    ("vr", "value", "expected"),
    [
        ("DS", b"1.50", [1.5]),
        ("DS", b" +1.5\\.5\\-1. \\1e3 ", [1.5, 0.5, -1.0, 1000.0]),
        ("DS", b"007", [7.0]),
        ("DS", b"1\\\\3", [1, None, 3]),
        ("DS", b"1e999", ["1e999"]),
        ("DS", b"12 mm\\nan\\0x10", ["12 mm", "nan", "0x10"]),
        ("DS", b"  ", []),
        ("IS", b"+5\\-07\\1.0", [5, -7, 1]),
        ("IS", b"1.5\\12345678901234567890\\x", ["1.5", "12345678901234567890", "x"]),
        ("IS", b"\0", []),
        ("CS", b"A \\ B\\\\C\0", ["A", "B", None, "C"]),
        ("UI", b"1.2.3\0", ["1.2.3"]),
        ("LO", b' "quoted" \\ \t ', ['"quoted"', "\t"]),
        ("LO", b"M\xfcller", ["Müller"]),
        ("LT", b"  one\\two\r\n ", ["  one\\two\r\n"]),
        ("UT", b"   ", []),
        ("UC", b" a \\b", [" a", "b"]),
        ("UR", b"http://a/?b=\\c ", ["http://a/?b=\\c"]),
        ("PN", b"A^B=C^D=E", [{"Alphabetic": "A^B", "Ideographic": "C^D", "Phonetic": "E"}]),
        ("PN", b"=X\\\\A", [{"Ideographic": "X"}, None, {"Alphabetic": "A"}]),
        ("PN", b"==", []),
        ("PN", b"A=B=C=D=E", [{"Alphabetic": "A", "Ideographic": "B", "Phonetic": "C"}]),
    ],
)
def test_text_values(vr: str, value: bytes, expected: list[Any]) -> None:
    assert written(vr, value) == expected


@given(st.sampled_from(sorted(TEXT_VALUES)), st.binary(max_size=80))
def test_any_bytes_make_json(vr: str, value: bytes) -> None:
    values = written(vr, value)
    for each in values:
        if vr not in ("DS", "IS") and each is not None:
            assert isinstance(each, dict if vr == "PN" else str)
        if isinstance(each, float):
            assert math.isfinite(each)
    assert MARK not in TEXT_VALUES[vr](value, LATIN)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=9))
def test_decimals_keep_their_number(numbers: list[float]) -> None:
    text = "\\".join(f"{number:.10g}" for number in numbers)
    assert [float(n) for n in written("DS", text.encode())] == [
        float(part) for part in text.split("\\")
    ]


@given(
    st.sampled_from(["ISO_IR 192", "GB18030", "ISO_IR 13", "ISO_IR 144", "ISO 2022 IR 87"]),
    st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)),
)
def test_values_are_split_after_they_are_decoded(term: str, parts: list[str]) -> None:
    decoder = text_decoder(term.encode())
    joined = "\\".join(part.replace("\\", "/") for part in parts)
    raw = joined.encode(decoder.encodings[0], "replace")
    expected = raw.decode(decoder.encodings[0]).split("\\")
    inside = TEXT_VALUES["LO"](raw, decoder)
    found = [each or "" for each in json.loads(f"[{inside}]")] or [""]
    if "\x1b" not in raw.decode("latin-1"):
        assert found == [each.strip(" ") for each in expected]


@given(
    st.sampled_from(["US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "AT"]),
    st.binary(max_size=64),
    st.booleans(),
)
def test_binary_numbers_are_what_struct_reads(vr: str, value: bytes, big: bool) -> None:
    values = json.loads(f"[{binary_numbers(vr, value, big)}]")
    code, width = {"US": "H2", "SS": "h2", "UL": "L4", "SL": "l4", "UV": "Q8", "SV": "q8",
                   "FL": "f4", "FD": "d8", "AT": "L4"}[vr]  # fmt: skip
    order = ">" if big else "<"
    assert len(values) == len(value) // int(width)
    if vr == "AT":
        halves = struct.unpack(f"{order}{len(values) * 2}H", value[: len(values) * 4])
        assert values == [f"{a:04X}{b:04X}" for a, b in zip(halves[::2], halves[1::2], strict=True)]
        return
    raw = struct.unpack(f"{order}{len(values)}{code}", value[: len(values) * int(width)])
    for one, other in zip(values, raw, strict=True):
        if isinstance(other, float) and not math.isfinite(other):
            assert one in ("NaN", "Infinity", "-Infinity")
        else:
            assert (int(one) if isinstance(one, str) else one) == other


@given(st.sampled_from(["OW", "OF", "OD", "US", "AT", "OB", "UN"]), st.binary(max_size=40))
def test_byte_order_turned_twice_is_the_same(vr: str, value: bytes) -> None:
    assert in_little_endian(vr, in_little_endian(vr, value)) == value


def test_only_long_binary_values_and_pixels_are_links(tmp_path: Path) -> None:
    image = make_image()
    image.add_new(0x00420011, "OB", b"a" * 1024)
    image.add_new(0x00189073, "OB", b"b" * 1026)
    icon = Dataset()
    icon.add_new(0x7FE00010, "OB", b"cc")
    image.IconImageSequence = Sequence([icon])
    image.TextValue = "t" * 5000
    found = model(saved(tmp_path, image))
    assert base64.b64decode(found["00420011"]["InlineBinary"]) == b"a" * 1024
    assert found["00189073"] == {"vr": "OB", "BulkDataURI": "00189073"}
    assert found["00880200"]["Value"][0]["7FE00010"]["BulkDataURI"] == "00880200/0/7FE00010"
    assert found["0040A160"]["Value"] == ["t" * 5000]


def test_values_too_long_to_be_decoded_are_links(tmp_path: Path) -> None:
    image = make_image()
    image.TextValue = "t" * 5000
    path = saved(tmp_path, image)
    found = model(path, bounds=Bounds(max_value_bytes=4096))
    assert found["0040A160"] == {"vr": "UT", "BulkDataURI": "0040A160"}
    ((offset, length),) = locate(path, "0040A160").ranges
    assert path.read_bytes()[offset : offset + length] == b"t" * 5000


def test_deflated_values_are_made(tmp_path: Path) -> None:
    image = make_image()
    image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = saved(tmp_path, image)
    assert model(path)["7FE00010"]["BulkDataURI"] == "7FE00010"
    made = locate(path, "7FE00010").made
    assert made is not None
    assert b"".join(made.pieces()) == image.PixelData
    assert b"".join(made.pieces(3, 4)) == image.PixelData[3:7]


def test_the_character_set_is_that_of_json(tmp_path: Path) -> None:
    image = make_image()
    item = Dataset()
    item.SpecificCharacterSet = "ISO_IR 144"
    item.PatientComments = "Привет"
    image.RequestAttributesSequence = Sequence([item])
    found = model(saved(tmp_path, image))
    assert found["00080005"]["Value"] == ["ISO_IR 192"]
    assert found["00100010"]["Value"] == [{"Alphabetic": "Müller^Jörg"}]
    inner = found["00400275"]["Value"][0]
    assert inner["00080005"]["Value"] == ["ISO_IR 192"]
    assert inner["00104000"]["Value"] == ["Привет"]


def test_all_character_sets_of_the_reference_data(shared_data: Path) -> None:
    count = 0
    for path in sorted((shared_data / "charsets").glob("*.dcm")):
        name = dcmread(path).get("PatientName")
        if name is None:
            continue
        (found,) = model(path)["00100010"]["Value"]
        groups = zip(("Alphabetic", "Ideographic", "Phonetic"), name.components, strict=False)
        assert found == {group: text.strip() for group, text in groups if text.strip()}, path.name
        count += 1
    assert count > 10


def test_known_attributes_fill_gaps_only(tmp_path: Path) -> None:
    image = make_image()
    del image.StudyInstanceUID
    image.SeriesInstanceUID = "1.2.9"
    known = {0x0020000D: ("UI", "1.2.3"), 0x0020000E: ("UI", "1.2.4")}
    found = model(saved(tmp_path, image), known=known)
    assert found["0020000D"]["Value"] == ["1.2.3"]
    assert found["0020000E"]["Value"] == ["1.2.9"]
    assert list(found) == sorted(found)
    text = minimal_json(known, "gone")
    assert json.loads(text.full)["0020000D"]["Value"] == ["1.2.3"]
    assert text.damage == "gone"


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        (0x00100010, True),  # Z
        (0x0020000D, False),  # U
        (0x00280010, False),  # not in the table
        (0x00091001, True),  # private
        (0x60003000, True),  # overlays
        (0x00FF0099, True),  # nobody knows it
    ],
)
def test_what_identifies(tag: int, expected: bool) -> None:
    assert identifies(tag) is expected


def test_a_broken_value_costs_itself_alone(tmp_path: Path) -> None:
    image = make_image()
    item = Dataset()
    item.CodeValue = "1"
    image.ProcedureCodeSequence = Sequence([item])
    path = saved(tmp_path, image)
    data = path.read_bytes()
    broken = data.replace(struct.pack("<HH2sH", 8, 0x0100, b"SH", 2),
                          struct.pack("<HH2sH", 8, 0x0100, b"SH", 999))  # fmt: skip
    assert broken != data
    path.write_bytes(broken)
    document = dataset_json(path)
    found = json.loads(document.full.replace(MARK, ""))
    assert document.damage
    assert "00081032" not in found
    assert found["00280010"]["Value"] == [4]


def test_bounds_hold(tmp_path: Path) -> None:
    nested = Dataset()
    for _ in range(40):
        outer = Dataset()
        outer.ContentSequence = Sequence([nested])
        nested = outer
    image = make_image()
    image.ContentSequence = Sequence([nested])
    document = dataset_json(saved(tmp_path, image))
    assert "deeper" in document.damage
    json.loads(document.full.replace(MARK, ""))
    image = make_image()
    assert (
        "more than 5" in dataset_json(saved(tmp_path, image), bounds=Bounds(max_elements=5)).damage
    )
    with pytest.raises(DicomError):
        dataset_json(saved(tmp_path, image), bounds=Bounds(max_instance_bytes=100))


@pytest.mark.parametrize("seed", range(40))
def test_damaged_bytes_never_raise_anything_else(
    shared_data: Path, tmp_path: Path, seed: int
) -> None:
    files = sorted(path for path in (shared_data / "transfer_syntaxes").rglob("*.dcm"))
    chance = random.Random(seed)
    data = bytearray(chance.choice(files).read_bytes()[:20_000])
    for _ in range(chance.randint(1, 30)):
        data[chance.randrange(130, len(data))] = chance.randrange(256)
    path = tmp_path / "damaged.dcm"
    path.write_bytes(data)
    try:
        document = dataset_json(path, bulk_uri="")
    except DicomError:
        return
    links = []
    for which in (document.full, document.plain):
        found = json.loads(which)
        assert list(found) == sorted(found)
        links += [tag for tag, value in found.items() if "BulkDataURI" in value]
        native_xml(found)
    for place in links:
        try:
            locate(path, place)
        except (DicomError, LookupError) as error:
            assert isinstance(error, DicomError)  # noqa: PT017


def test_xml_is_the_native_model(tmp_path: Path) -> None:
    image = make_image()
    image.SpecificCharacterSet = "ISO_IR 192"
    image.PatientName = "Müller^Jörg^^Dr.=山田^太郎"
    image.ImageComments = "a < b & \x0c c"
    image.private_block(0x0011, 'Maker "A"', create=True).add_new(5, "LO", "x")
    item = Dataset()
    item.CodeValue = "1"
    image.ProcedureCodeSequence = Sequence([item])
    text = native_xml(model(saved(tmp_path, image)))
    root = ET.fromstring(text)
    assert root.tag == f"{NATIVE}NativeDicomModel"
    by_tag = {each.get("tag"): each for each in root}
    rows = by_tag["00280010"]
    assert (rows.get("vr"), rows.get("keyword")) == ("US", "Rows")
    assert [(v.tag, v.get("number"), v.text) for v in rows] == [(f"{NATIVE}Value", "1", "4")]
    (name,) = by_tag["00100010"]
    assert [(each.tag.removeprefix(NATIVE), [e.tag.removeprefix(NATIVE) for e in each])
            for each in name] == [
        ("Alphabetic", ["FamilyName", "GivenName", "NamePrefix"]),
        ("Ideographic", ["FamilyName", "GivenName"]),
    ]  # fmt: skip
    private = by_tag["00110005"]
    assert private.get("privateCreator") == 'Maker "A"'
    assert by_tag["00204000"][0].text == "a < b & \ufffd c"
    (item_node,) = by_tag["00081032"]
    assert item_node.tag == f"{NATIVE}Item"
    assert item_node[0].get("keyword") == "CodeValue"
    (bulk,) = by_tag["7FE00010"]
    assert (bulk.tag, bulk.get("uri")) == (f"{NATIVE}BulkData", "7FE00010")


@given(st.lists(st.text(max_size=20), max_size=4))
def test_xml_of_any_text_can_be_read(texts: list[str]) -> None:
    ET.fromstring(native_xml({"00104000": {"vr": "LT", "Value": texts}}))


def test_a_series_file_gives_back_what_it_got(tmp_path: Path) -> None:
    writer = SeriesWriter()
    texts = [f'{{"{number:08X}":"{"x" * 50_000}"}}' for number in range(30)]
    for number, text in enumerate(texts):
        document = minimal_json({}, "broken" if number == 3 else "")
        writer.add(str(number), type(document)(text, f'{{"p":{number}}}', document.damage))
    path = tmp_path / "series.meta"
    writer.write(path, "f" * 64)
    with path.open("rb", buffering=0) as file:
        found = SeriesFile(file)
        assert (found.stamp, found.instances, found.damaged) == ("f" * 64, 30, 1)
        assert b",".join(found.blocks(identified=True)).decode() == ",".join(texts)
        plain = json.loads(b"[" + b",".join(found.blocks(identified=False)) + b"]")
        assert plain == [{"p": number} for number in range(30)]
        assert found.block(0, identified=True).decode() == texts[0]
        for place, text in zip(found.places(), texts, strict=True):
            offset, length = place.full
            block = found.block(place.block, identified=True)
            assert block[offset : offset + length].decode() == text


@given(st.binary(max_size=300))
def test_what_is_no_series_file_is_refused(start: bytes) -> None:
    with pytest.raises(DataSetError):
        SeriesFile(io.BytesIO(start))


@pytest.mark.parametrize("seed", range(30))
def test_a_changed_series_file_gives_an_error_or_the_same(tmp_path: Path, seed: int) -> None:
    writer = SeriesWriter()
    for number in range(3):
        writer.add(str(number), minimal_json({0x00100010: ("LO", "a" * 99)}, ""))
    path = tmp_path / "series.meta"
    writer.write(path, "f" * 64)
    data, chance = bytearray(path.read_bytes()), random.Random(seed)
    with path.open("rb", buffering=0) as file:
        whole = list(SeriesFile(file).blocks(identified=True))
    data[chance.randrange(72, len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data[: chance.choice((len(data), len(data) - 5))])
    with path.open("rb", buffering=0) as file:
        try:
            found = SeriesFile(file)
            blocks = list(found.blocks(identified=True))
            found.places()
        except DataSetError:
            return
    assert blocks == whole
