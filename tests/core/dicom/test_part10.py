from __future__ import annotations

import io
import struct
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocenter.core.dicom.part10 import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    FileMeta,
    encode_file_meta,
    read_file_meta,
)
from isocenter.core.errors import BoundsError, DataSetError, DicomError, NotDicomError

META = FileMeta("1.2.840.10008.5.1.4.1.1.2", "1.2.3.45", EXPLICIT_LITTLE)


def test_pydicom_reads_what_we_write() -> None:
    read = pydicom.dcmread(io.BytesIO(encode_file_meta(META))).file_meta

    assert read.MediaStorageSOPClassUID == META.sop_class_uid
    assert read.MediaStorageSOPInstanceUID == META.sop_instance_uid
    assert read.TransferSyntaxUID == META.transfer_syntax_uid
    assert read.ImplementationVersionName.startswith("ISOCENTER_")
    assert read.FileMetaInformationGroupLength == len(encode_file_meta(META)) - 144


uids = st.text("0123456789.", max_size=64)


@given(st.builds(FileMeta, uids, uids, uids.filter(len)), st.binary(max_size=20))
def test_there_and_back(meta: FileMeta, following: bytes) -> None:
    encoded = encode_file_meta(meta)

    read, offset = read_file_meta(io.BytesIO(encoded + b"\x08\x00" + following))

    assert read == meta
    assert offset == len(encoded)


def test_it_starts_where_the_stream_stands() -> None:
    stream = io.BytesIO(b"x" * 77 + encode_file_meta(META))
    stream.seek(77)

    assert read_file_meta(stream) == (META, len(encode_file_meta(META)))


@pytest.mark.parametrize("text", ["1.2.ü", "1" * 2000])
def test_what_cannot_be_written(text: str) -> None:
    with pytest.raises(DataSetError):
        encode_file_meta(FileMeta("1.2", text, EXPLICIT_LITTLE))


@pytest.mark.parametrize(
    ("start", "syntax"),
    [
        (struct.pack("<HHL", 8, 5, 10) + b"ISO_IR 100", IMPLICIT_LITTLE),
        (struct.pack("<HH2sH", 8, 5, b"CS", 10) + b"ISO_IR 100", EXPLICIT_LITTLE),
        (struct.pack(">HH2sH", 8, 5, b"CS", 10) + b"ISO_IR 100", EXPLICIT_BIG),
    ],
)
def test_a_bare_data_set_tells_its_syntax(start: bytes, syntax: str) -> None:
    assert read_file_meta(io.BytesIO(start)) == (FileMeta("", "", syntax), 0)


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", bytes(200), b"\x89PNG\r\n\x1a\n" + bytes(40), b"PK\x03\x04" * 9, b"Hello " * 40],
)
def test_no_dicom(data: bytes) -> None:
    with pytest.raises(NotDicomError):
        read_file_meta(io.BytesIO(data))


def test_a_group_two_without_end() -> None:
    endless = struct.pack("<HH2sxxL", 2, 0x0102, b"OB", 0xF000) + bytes(0xF000)

    with pytest.raises(BoundsError, match="1 MiB"):
        read_file_meta(io.BytesIO(bytes(128) + b"DICM" + endless * 20))


@given(st.binary(max_size=300))
def test_anything_else_is_a_dicom_error(data: bytes) -> None:
    for stream in (io.BytesIO(data), io.BytesIO(bytes(128) + b"DICM" + data)):
        try:
            read_file_meta(stream)
        except DicomError:
            continue


@pytest.mark.parametrize(
    ("name", "syntax"),
    [
        ("ExplVR_BigEnd.dcm", EXPLICIT_BIG),
        ("ExplVR_BigEndNoMeta.dcm", EXPLICIT_BIG),
        ("ExplVR_LitEndNoMeta.dcm", EXPLICIT_LITTLE),
        ("meta_missing_tsyntax.dcm", IMPLICIT_LITTLE),
        ("no_meta_group_length.dcm", IMPLICIT_LITTLE),
        ("rtstruct.dcm", IMPLICIT_LITTLE),
    ],
)
def test_files_without_preamble_or_meta(shared_data: Path, name: str, syntax: str) -> None:
    with (shared_data / "no_preamble" / name).open("rb") as file:
        assert read_file_meta(file)[0].transfer_syntax_uid == syntax
