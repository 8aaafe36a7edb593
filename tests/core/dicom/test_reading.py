from __future__ import annotations

import struct
import time
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from isocenter.core.dicom.bounds import Bounds
from isocenter.core.dicom.part10 import (
    DEFLATED_LITTLE,
    EXPLICIT_LITTLE,
    FileMeta,
    encode_file_meta,
)
from isocenter.core.dicom.quiet import quiet_pydicom
from isocenter.core.dicom.reading import header_at, header_of, read_dataset, reading_attributes
from isocenter.core.dicom.transcode import transcode
from isocenter.core.errors import (
    BoundsError,
    ConfigurationError,
    DataSetError,
    DicomError,
    NotDicomError,
)

# Broken in a way that the header scanner need not notice.
REFUSED = {"DICOMDIR-nooffset", "README", "no_meta.dcm"}


def test_the_reference_data(sample_files: list[Path]) -> None:
    """Read as pydicom reads it, or refused; nothing that is sound is refused."""
    for path in sample_files[::2]:
        began = time.thread_time()
        try:
            ours = read_dataset(path)
        except DicomError:
            assert "malformed" in str(path) or path.name in REFUSED, path
            continue
        assert time.thread_time() - began < 2, path
        with quiet_pydicom():
            theirs = pydicom.dcmread(path, force=True)
            tags = list(theirs.keys())
            assert list(ours.keys()) == tags, path
            assert all(ours.get_item(tag) == theirs.get_item(tag) for tag in tags), path


def test_header_of_and_header_at_agree(tmp_path: Path, image_file: Callable[..., Path]) -> None:
    path = image_file()
    segment = tmp_path / "segment"
    segment.write_bytes(b"before" + path.read_bytes() + b"behind")

    with segment.open("rb") as file:
        found = header_at(file, start=6, length=path.stat().st_size)

    assert found == header_of(path)
    assert found[1].patient_name == "Müller^Jörg"
    assert (found[1].rows, found[1].columns, found[1].instance_number) == (4, 6, 7)


def test_a_part_that_is_too_short(image_file: Callable[..., Path]) -> None:
    with image_file().open("rb") as file, pytest.raises(NotDicomError):
        header_at(file, length=150)


def raw_file(path: Path, data: bytes, syntax: str = EXPLICIT_LITTLE) -> Path:
    path.write_bytes(encode_file_meta(FileMeta("1.2", "1.3", syntax)) + data)
    return path


def sequence(tag: int, content: bytes) -> bytes:
    """An explicit sequence of defined length with one item of defined length."""
    item = struct.pack("<HHL", 0xFFFE, 0xE000, len(content)) + content
    return struct.pack("<HH2sxxL", tag >> 16, tag & 0xFFFF, b"SQ", len(item)) + item


def nested(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = sequence(0x00081110, data)
    return data


def test_nesting_is_bounded_where_pydicom_would_recurse(tmp_path: Path) -> None:
    read_dataset(raw_file(tmp_path / "a", nested(32)))

    with pytest.raises(BoundsError, match="deeper than 32"):
        read_dataset(raw_file(tmp_path / "b", nested(33)))
    with pytest.raises(BoundsError, match="deeper than 32"):
        read_dataset(raw_file(tmp_path / "c", nested(3000)))


def test_nesting_hides_in_unknown_values_too(tmp_path: Path) -> None:
    data = nested(40)
    unknown = struct.pack("<HH2sxxL", 9, 0x1001, b"UN", len(data))
    hidden = struct.pack("<HHL", 0xFFFE, 0xE000, len(data)) + data

    with pytest.raises(BoundsError, match="deeper than"):
        read_dataset(
            raw_file(tmp_path / "a", unknown[:8] + struct.pack("<L", len(hidden)) + hidden)
        )


def test_an_unknown_value_need_not_be_a_sequence(tmp_path: Path) -> None:
    value = struct.pack("<HHL", 0xFFFE, 0xE000, 500) + b"no item at all  "
    unknown = struct.pack("<HH2sxxL", 9, 0x1001, b"UN", len(value)) + value

    dataset = read_dataset(raw_file(tmp_path / "a", unknown))

    assert dataset.get_item(0x00091001).value == value


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (struct.pack("<HHL", 0xFFFE, 0xE000, 0), "outside a sequence"),
        (struct.pack("<HHL", 0xFFFE, 0xE0DD, 0), "stray"),
        (struct.pack("<HH2sH", 8, 5, b"CS", 10) + b"ISO", r"ends inside \(0008,0005\)"),
        (nested(2)[:-1], r"ends inside \(0008,1110\)|reaches out"),
        (struct.pack("<HH2sxxLHHL", 8, 0x1110, b"SQ", 8, 8, 5, 0), "where a sequence item belongs"),
        (
            struct.pack("<HH2sxxL", 0x7FE0, 0x10, b"OB", 0xFFFFFFFF)
            + struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF),
            "fragment",
        ),
    ],
)
def test_structures_that_make_no_sense(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(DataSetError, match=reason):
        read_dataset(raw_file(tmp_path / "a", data))


def test_files_that_are_too_large(tmp_path: Path, image_file: Callable[..., Path]) -> None:
    with pytest.raises(BoundsError, match="at most 100"):
        read_dataset(image_file(), bounds=Bounds(max_instance_bytes=100))
    deflated = tmp_path / "deflated.dcm"
    transcode(
        image_file(PixelData=bytes(48), PatientComments="x" * 9000), deflated, DEFLATED_LITTLE
    )
    with pytest.raises(BoundsError, match="inflates"):
        read_dataset(deflated, bounds=Bounds(max_instance_bytes=8000))


def test_too_many_elements(image_file: Callable[..., Path]) -> None:
    with pytest.raises(BoundsError, match="more than 10"):
        read_dataset(image_file(), bounds=Bounds(max_elements=10))


def test_bounds_that_make_no_sense() -> None:
    with pytest.raises(ConfigurationError, match="max_depth"):
        Bounds(max_depth=0)


def test_truncated_pixels_can_be_left_out(shared_data: Path) -> None:
    path = shared_data / "malformed" / "MR_truncated.dcm"

    with pytest.raises(DataSetError, match=r"\(7FE0,0010\)"):
        read_dataset(path)
    assert "PixelData" not in read_dataset(path, stop_before_pixels=True)


def test_a_broken_value_becomes_a_dicom_error(shared_data: Path) -> None:
    dataset = read_dataset(shared_data / "malformed" / "badVR.dcm")

    with quiet_pydicom(), pytest.raises(DataSetError), reading_attributes("the image"):
        int(dataset.NumberOfFrames)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=6))
def test_broken_bytes_end_in_a_dicom_error_or_a_data_set(
    tmp_path: Path, image: Callable[..., Dataset], changes: list[tuple[float, int]]
) -> None:
    from isocenter.core.dicom.writing import encode_dataset

    nested_image = image(ReferencedStudySequence=[image()], RequestAttributesSequence=[image()])
    data = bytearray(encode_dataset(nested_image, EXPLICIT_LITTLE))
    for where, byte in changes:
        data[int(where * len(data))] = byte

    try:
        dataset = read_dataset(raw_file(tmp_path / "broken", bytes(data)))
    except DicomError:
        return
    assert isinstance(dataset, Dataset)
