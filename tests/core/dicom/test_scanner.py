"""The scanner against pydicom: on real files, on invented data sets, on broken bytes."""

from __future__ import annotations

import io
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from isocenter.core.dicom.bounds import Bounds
from isocenter.core.dicom.header import (
    ASCII,
    INDEXED,
    NAME,
    REQUEST_ITEMS,
    REQUESTS,
    TEXT,
    Header,
)
from isocenter.core.dicom.part10 import (
    DEFLATED_LITTLE,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    read_file_meta,
)
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.dicom.scanner import scan_header
from isocenter.core.errors import BoundsError, DataSetError, DicomError

SYNTAXES = [IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED_LITTLE]
# pydicom gives the text of a number that is none; the scanner gives nothing.
NO_NUMBERS = {
    ("badVR.dcm", "number_of_frames"),
    ("013_k1_MR_small_jp2klossless.dcm", "bits_allocated"),  # runs on into what follows
}


def encode(dataset: Dataset, syntax: str) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR = syntax == IMPLICIT_LITTLE
    buffer.is_little_endian = syntax != EXPLICIT_BIG
    write_dataset(buffer, dataset)
    data = bytes(buffer.getvalue())
    if syntax == DEFLATED_LITTLE:
        compressor = zlib.compressobj(wbits=-15)
        data = compressor.compress(data) + compressor.flush()
    return data


def differences(header: Header, dataset: Dataset) -> list[tuple[str, Any, Any]]:
    """(field, scanner's value, pydicom's value) where they are not the same."""
    found = []
    for tag, (field, kind) in INDEXED.items():
        ours = getattr(header, field)
        theirs = dataset[tag].value if tag in dataset else None
        if kind in (ASCII, TEXT, NAME):
            if isinstance(theirs, MultiValue):
                theirs = "\\".join(map(str, theirs))
            theirs = "" if theirs is None else str(theirs).replace("\0", "").strip(" ")
        elif kind == REQUESTS:
            theirs = requests_of(theirs or [])
        else:
            theirs = theirs[0] if isinstance(theirs, MultiValue) else theirs
            theirs = None if theirs in ("", None) else theirs
        if ours != theirs:
            found.append((field, ours, theirs))
    return found


def requests_of(sequence: Any) -> tuple[tuple[tuple[str, str], ...], ...]:
    items = [
        tuple((word, str(item.get(word, "")).strip(" ")) for word in REQUEST_ITEMS.values())
        for item in sequence
    ]
    found = (tuple(pair for pair in item if pair[1]) for item in items)
    return tuple(item for item in found if item)


def test_every_file_of_the_reference_data(dicom_files: list[Path]) -> None:
    wrong = []
    agreed = 0
    for path in dicom_files:
        began = time.thread_time()
        try:
            with path.open("rb", buffering=0) as file:
                meta, offset = read_file_meta(file)
                syntax = meta.transfer_syntax_uid
                header = scan_header(file, offset=offset, transfer_syntax_uid=syntax)
        except DicomError:
            assert "malformed" in str(path) or path.name in ("README", "no_meta.dcm"), path
            continue
        finally:
            assert time.thread_time() - began < 1, path
        with quiet_pydicom():
            try:
                dataset = pydicom.dcmread(path, force=True, stop_before_pixels=True)
            except OSError:
                continue  # broken further on, where the scanner never comes
            for field, ours, theirs in differences(header, dataset):
                if (path.name, field) not in NO_NUMBERS:
                    wrong.append((path.name, field, ours, theirs))
        agreed += 1

    assert wrong == []
    assert agreed > 900


text = st.text("abc XYZ019.-", max_size=12)
uid = st.from_regex(r"[1-9](\.[1-9][0-9]{0,5}){1,6}", fullmatch=True)
number = st.integers(-(1 << 31), (1 << 31) - 1)


@st.composite
def items(draw: st.DrawFn, depth: int) -> Dataset:
    item = Dataset()
    item.StudyInstanceUID = draw(uid)  # not the one that counts
    item.add_new(0x00091001, "UN", draw(st.binary(max_size=6).filter(lambda b: len(b) % 2 == 0)))
    if depth and draw(st.booleans()):
        item.ReferencedSeriesSequence = draw(sequences(depth - 1))
    for word in draw(st.sets(st.sampled_from(sorted(REQUEST_ITEMS.values())))):
        setattr(item, word, draw(text))
    item.is_undefined_length_sequence_item = draw(st.booleans())
    return item


@st.composite
def sequences(draw: st.DrawFn, depth: int) -> Sequence:
    sequence = Sequence(draw(st.lists(items(depth), max_size=3)))
    sequence.is_undefined_length = draw(st.booleans())
    return sequence


@st.composite
def data_sets(draw: st.DrawFn) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = draw(st.sampled_from(["ISO_IR 100", "ISO_IR 192", ""]))
    dataset.SOPClassUID = draw(uid)
    dataset.SOPInstanceUID = draw(uid)
    for keyword in draw(st.sets(st.sampled_from(["StudyDescription", "PatientID", "StudyID"]))):
        setattr(dataset, keyword, draw(text))
    dataset.PatientName = draw(st.sampled_from(["Doe^Jane", "Äneas^Rüdiger", ""]))
    if draw(st.booleans()):
        dataset.ReferencedStudySequence = draw(sequences(3))
        dataset["ReferencedStudySequence"].is_undefined_length = draw(st.booleans())
    if draw(st.booleans()):
        dataset.RequestAttributesSequence = draw(sequences(1))
        dataset.PerformedProcedureStepStartDate = draw(st.sampled_from(["20260101", ""]))
    dataset.StudyInstanceUID = draw(uid)
    dataset.SeriesInstanceUID = draw(uid)
    dataset.SeriesNumber = draw(number)
    dataset.Rows = draw(st.integers(0, 65535))
    dataset.Columns = draw(st.integers(0, 65535))
    return dataset


@given(data_sets(), st.sampled_from(SYNTAXES))
def test_invented_data_sets(dataset: Dataset, syntax: str) -> None:
    data = encode(dataset, syntax)

    header = scan_header(b"xyz" + data, offset=3, transfer_syntax_uid=syntax)

    assert differences(header, dataset) == []


@settings(max_examples=60)
@given(data_sets(), st.sampled_from(SYNTAXES), st.data())
def test_broken_bytes_end_in_a_dicom_error_or_a_header(
    dataset: Dataset, syntax: str, draw: st.DataObject
) -> None:
    data = bytearray(encode(dataset, syntax))
    for _ in range(draw.draw(st.integers(1, 4))):
        at = draw.draw(st.integers(0, len(data) - 1))
        data[at] = draw.draw(st.integers(0, 255))
    del data[draw.draw(st.integers(1, len(data))) :]

    try:
        header = scan_header(bytes(data), offset=0, transfer_syntax_uid=syntax)
    except DicomError:
        return
    assert isinstance(header.study_uid, str)


@given(st.binary(max_size=400), st.sampled_from(SYNTAXES))
def test_any_bytes(data: bytes, syntax: str) -> None:
    try:
        scan_header(data, offset=0, transfer_syntax_uid=syntax)
    except DicomError:
        return


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def test_a_file_is_read_in_pieces(tmp_path: Path) -> None:
    """Values that lie across and beyond the scanner's window, in a part of a larger file."""
    big = struct.pack("<HH2sxxL", 9, 0x1001, b"OB", 100_001) + bytes(100_001)
    data = element(0x00080016, b"UI", b"1.2 ") + big + element(0x00100020, b"LO", b"x" * 40_000)
    data += element(0x0020000D, b"UI", b"1.5 ")
    path = tmp_path / "part"
    path.write_bytes(b"before" + data + b"behind what counts")

    with path.open("rb") as file:
        header = scan_header(file, offset=6, length=len(data), transfer_syntax_uid=EXPLICIT_LITTLE)
        assert file.tell() == 0

    assert header.patient_id == "x" * 40_000
    assert header.study_uid == "1.5"


def test_a_value_that_is_cut_off_names_its_tag() -> None:
    data = element(0x00080016, b"UI", b"1.2.3.4 ")[:-3]

    with pytest.raises(DataSetError, match=r"\(0008,0016\)"):
        scan_header(data, offset=0, transfer_syntax_uid=EXPLICIT_LITTLE)


def test_a_value_that_is_too_long_is_not_read() -> None:
    data = struct.pack("<HHL", 0x0008, 0x1030, 0xFFFFFFFE)

    with pytest.raises(BoundsError, match=r"\(0008,1030\).*4294967294 bytes"):
        scan_header(data, offset=0, transfer_syntax_uid=IMPLICIT_LITTLE)


def nested(depth: int) -> bytes:
    head = struct.pack("<HH2sxxL", 0x0008, 0x1110, b"SQ", 0xFFFFFFFF)
    item = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    ends = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    return (head + item) * depth + ends * depth


def test_nesting_within_and_beyond_the_bounds() -> None:
    bounds = Bounds(max_depth=8)

    scan_header(nested(8), offset=0, transfer_syntax_uid=EXPLICIT_LITTLE, bounds=bounds)
    with pytest.raises(BoundsError, match="deeper than 8"):
        scan_header(nested(9), offset=0, transfer_syntax_uid=EXPLICIT_LITTLE, bounds=bounds)
    with pytest.raises(BoundsError, match="deeper than"):
        scan_header(nested(100_000), offset=0, transfer_syntax_uid=EXPLICIT_LITTLE)


def test_too_many_elements() -> None:
    data = element(0x00090010, b"LO", b"") * 2000

    with pytest.raises(BoundsError, match="more than 1000 data elements"):
        scan_header(
            data,
            offset=0,
            transfer_syntax_uid=EXPLICIT_LITTLE,
            bounds=Bounds(max_elements=1000),
        )


def test_a_deflated_bomb() -> None:
    start = struct.pack("<HH2sxxL", 9, 0x1001, b"OB", 0xFFFFFFF0)
    compressor = zlib.compressobj(9, wbits=-15)
    data = compressor.compress(start) + compressor.compress(bytes(200 << 20)) + compressor.flush()

    with pytest.raises(BoundsError, match="inflates"):
        scan_header(
            data,
            offset=0,
            transfer_syntax_uid=DEFLATED_LITTLE,
            bounds=Bounds(max_instance_bytes=10 << 20),
        )


def test_what_is_not_deflated() -> None:
    with pytest.raises(DataSetError, match="inflated"):
        scan_header(b"\xff" * 50, offset=0, transfer_syntax_uid=DEFLATED_LITTLE)


@pytest.mark.parametrize("raw", [b"1A", b"", b" ", b"99999999999", b"1e400", b"nan", b"--1"])
def test_numbers_that_are_none(raw: bytes) -> None:
    data = element(0x00200013, b"IS", raw)

    assert scan_header(data, offset=0, transfer_syntax_uid=EXPLICIT_LITTLE).instance_number is None


@pytest.mark.parametrize(("raw", "value"), [(b"+7 ", 7), (b"3.0", 3), (b"4\\5", 4), (b"-2\0", -2)])
def test_numbers_that_are_nearly_none(raw: bytes, value: int) -> None:
    data = element(0x00200013, b"IS", raw)

    assert scan_header(data, offset=0, transfer_syntax_uid=EXPLICIT_LITTLE).instance_number == value


def test_a_memory_view_will_do() -> None:
    data = memoryview(element(0x00080060, b"CS", b"CT"))

    assert scan_header(data, offset=0, transfer_syntax_uid=EXPLICIT_LITTLE).modality == "CT"


def test_text_is_no_data_set() -> None:
    with io.FileIO(Path(__file__)) as file, pytest.raises(DataSetError, match="ends inside"):
        scan_header(file.fileno(), offset=0, transfer_syntax_uid=EXPLICIT_LITTLE)


def test_a_value_that_nobody_wants_may_not_be_cut_off_either() -> None:
    data = element(0x00080016, b"UI", b"1.2 ") + element(0x00090010, b"LO", b"someone ")[:-1]

    with pytest.raises(DataSetError, match=r"ends inside \(0009,0010\)"):
        scan_header(data, offset=0, transfer_syntax_uid=EXPLICIT_LITTLE)
