"""Identifiers: what is written is read, what pydicom writes too, and no bytes do harm."""

from __future__ import annotations

import struct
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from isocenter.core.errors import BoundsError, DicomError
from isocenter.core.network.identifiers import (
    MAX_IDENTIFIER_BYTES,
    Element,
    decode_identifier,
    encode_identifier,
)

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED, BIG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
SYNTAXES = [IMPLICIT, EXPLICIT, DEFLATED, BIG]


def written_by_pydicom(ds: Dataset, syntax: str) -> bytes:
    stream = DicomBytesIO()
    stream.is_implicit_VR = syntax == IMPLICIT
    stream.is_little_endian = syntax != BIG
    write_dataset(stream, ds)
    return stream.getvalue()


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
@pytest.mark.parametrize("is_undefined", [False, True])
def test_what_pydicom_writes_is_read(syntax: str, is_undefined: bool) -> None:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.PatientName = "Müller^*"
    ds.StudyInstanceUID = ["1.2", "1.3"]
    ds.Rows = [512, 256]
    ds.StudyDate = ""
    item = Dataset()
    item.RequestedProcedureID = "é"
    ds.RequestAttributesSequence = Sequence([item, item])
    ds.RequestAttributesSequence.is_undefined_length = is_undefined
    ds["RequestAttributesSequence"].is_undefined_length = is_undefined
    found = decode_identifier(written_by_pydicom(ds, syntax), syntax)
    assert found.character_set == "ISO_IR 100"
    assert found.texts[0x00100010] == "Müller^*"
    assert found.texts[0x0020000D] == "1.2\\1.3"
    assert found.texts[0x00280010] == "512\\256"
    assert found.texts[0x00080020] == ""
    items = found.sequences[0x00400275]
    assert [one.texts[0x00401001] for one in items] == ["é", "é"]


@pytest.mark.parametrize(
    ("character_set", "value", "text"),
    [
        ("", "Müller".encode(), "Müller"),  # as a terminal gives it to a tool that names none
        ("ISO_IR 6", "山田".encode(), "山田"),
        ("", "Müller".encode("latin-1"), "Müller"),
        ("ISO_IR 100", "Müller".encode(), "MÃ¼ller"),  # what is named is meant
        ("ISO_IR 192", "Müller".encode(), "Müller"),
    ],
)
def test_text_without_a_character_set(character_set: str, value: bytes, text: str) -> None:
    ds = Dataset()
    if character_set:
        ds.SpecificCharacterSet = character_set
    ds[0x00100020] = DataElement(0x00100020, "LO", "x" * len(value))
    raw = written_by_pydicom(ds, SYNTAXES[0]).replace(b"x" * len(value), value)
    assert decode_identifier(raw, SYNTAXES[0]).texts[0x00100020] == text


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_is_written_is_read(syntax: str) -> None:
    elements = [
        Element(0x00100010, "PN", ("山田^太郎",)),
        Element(0x00080020, "DA", ("20200101",)),
        Element(0x00280010, "US", (512,)),
        Element(0x00080061, "CS", ("CT", "RTSTRUCT")),
        Element(0x00400275, "SQ", ([Element(0x00400009, "SH", ("S1",))],)),
    ]
    found = decode_identifier(encode_identifier(elements, syntax), syntax)
    assert found.texts[0x00100010] == "山田^太郎"
    assert found.texts[0x00080061] == "CT\\RTSTRUCT"
    assert found.texts[0x00280010] == "512"
    assert found.sequences[0x00400275][0].texts == {0x00400009: "S1"}


def test_pydicom_reads_what_is_written() -> None:
    elements = [Element(0x00281050, "DS", (0.1, 40)), Element(0x00080018, "UI", ("1.2.3",))]
    ds = dcmread(BytesIO(encode_identifier(elements, IMPLICIT)), force=True)
    assert ds.WindowCenter == [0.1, 40]
    assert ds.SOPInstanceUID == "1.2.3"


@given(raw=st.binary(max_size=400), syntax=st.sampled_from(SYNTAXES))
def test_no_bytes_do_harm(raw: bytes, syntax: str) -> None:
    try:
        decode_identifier(raw, syntax)
    except DicomError as error:
        assert str(error)  # noqa: PT017


def test_deep_nesting_is_refused() -> None:
    opening = struct.pack("<HHL", 0x0040, 0x0275, 0xFFFFFFFF) + struct.pack(
        "<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    with pytest.raises(BoundsError, match="deeper"):
        decode_identifier(opening * 50_000, IMPLICIT)


def test_a_deflate_bomb_is_refused() -> None:
    import zlib

    deflate = zlib.compressobj(9, wbits=-15)
    bomb = deflate.compress(bytes(50 * MAX_IDENTIFIER_BYTES)) + deflate.flush()
    assert len(bomb) < 100_000
    with pytest.raises(BoundsError, match="bytes"):
        decode_identifier(bomb, DEFLATED)
